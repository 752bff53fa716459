package nft

import "log/slog"

// Config is what a Driver is made with. The zero value works.
type Config struct {
	Logger *slog.Logger // nil: nothing is logged

	// OldKernel keeps to what kernels before 6.3 can do: an element is renewed by deleting
	// and adding it, with its counters, in one transaction.
	OldKernel bool
	// UseMark recognises connections by a bit of their mark, as on kernels without
	// connection labels. Another table that overwrites marks then opens the gate.
	UseMark bool
	// Elsewhere has another firewall translate, which is asked after this one. The table says whose
	// connections live, and refuses those that the other may translate for sessions that ended: see Ask.
	Elsewhere bool
}
