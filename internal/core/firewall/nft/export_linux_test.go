package nft

// LimitTransactions makes the driver believe that its socket's buffer can't be larger.
func (d *Driver) LimitTransactions(bytes int) { d.room = bytes }
