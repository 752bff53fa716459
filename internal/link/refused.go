package link

// Why core refuses a datagram: the reasons in Knocks.Dropped. They stay as they are.
const (
	RefusedRead          = "read_error"
	RefusedLength        = "length"
	RefusedHint          = "unknown_hint"
	RefusedSeal          = "seal"
	RefusedTime          = "time"
	RefusedClaim         = "claimed_source_differs"
	RefusedNoClaim       = "claimed_source_missing"
	RefusedSource        = "source_not_public"
	RefusedNoClock       = "clock_unknown"
	RefusedNoWeb         = "web_not_connected"
	RefusedShape         = "fwknop_shape"
	RefusedMAC           = "fwknop_hmac"
	RefusedReplay        = "replay"
	RefusedBusy          = "busy"
	RefusedKernelGarbage = "kernel_garbage"
	RefusedKernelLimit   = "kernel_rate_limit"

	// What web has decided, and so knows better.
	RefusedIgnored    = "ignored"
	RefusedNotGranted = "not_granted"
	RefusedElse       = "refused"
)

// What Verdict.Ignored may be besides RefusedTime, RefusedClaim, RefusedNoClaim and RefusedReplay. A core
// that does not know one counts the knock as RefusedIgnored, as it counts all of them.
const (
	IgnoredUnknown = "unknown_device"
	IgnoredRevoked = "device_revoked"
	IgnoredMessage = "fwknop_message" // it is the device's, but nothing that Ownline takes
)

// What Refusal.Reason may be: this, RefusedNoClaim when the grant requires a claim, or RefusedByList and
// whose list it is.
const (
	RefusedImpossible = "not_possible" // no port is free, no target of the family, …
	RefusedByList     = "policy_"      // web, site, grant or device
)

// RefusedByCore reports whether it is a reason of core's own: not web's word, nor anything that a core
// should not say.
func RefusedByCore(reason string) bool {
	switch reason {
	case RefusedRead, RefusedLength, RefusedHint, RefusedSeal, RefusedTime, RefusedClaim, RefusedNoClaim, RefusedSource,
		RefusedNoClock, RefusedNoWeb, RefusedShape, RefusedMAC, RefusedReplay, RefusedBusy, RefusedKernelGarbage, RefusedKernelLimit:
		return true
	}
	return false
}
