package payload

// Forget forgets which methods took too long, which is otherwise remembered for the life of the
// program, so that tests can be repeated in one.
func Forget() { plans.Clear() }
