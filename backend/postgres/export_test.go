package postgres

// Skew has a store take its time from a server whose clock is ahead by an interval, as "2 hours".
func (o StoreOptions) Skew(by string) *StoreOptions {
	o.clock = "(clock_timestamp() + interval '" + by + "')"
	return &o
}
