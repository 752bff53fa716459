package netlink

// Find returns the value of the first attribute of a kind; path leads on inside of it.
func Find(b []byte, path ...uint16) []byte {
	for _, kind := range path {
		var found []byte
		for k, v := range Attributes(b) {
			if k == kind {
				found = v
				break
			}
		}
		b = found
	}
	return b
}
