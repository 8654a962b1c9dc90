package redis

// LimitReplies makes a reply of more bytes errLarge.
func (b *Bus) LimitReplies(n int64) { b.most = n }
