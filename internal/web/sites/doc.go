// Package sites commands the cores. For every site there is one connection to its core;
// over it go the whole desired state after every reconnect, single commands after that, and
// the core's events back.
//
// The rule that keeps the two ends equal: a change of what a site should hold has a
// revision. A revision is covered once a command for it, or a whole state that includes it,
// was applied; whenever one is not covered and no command for it is on its way, the whole
// state is sent again.
package sites
