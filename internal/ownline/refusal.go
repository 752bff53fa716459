package ownline

import "time"

// Refusal is how often knocks were refused for one reason: of one device, as far as it is known whose
// they were.
type Refusal struct {
	Site   SiteID   // zero: they came through a broker, where nobody knows for which
	Device DeviceID // zero: nobody knows of which
	Reason string
	Number uint64
	First  time.Time // as far as web knows: it asks cores a few times a minute
	Latest time.Time
}

// RefusalInfo is a Refusal with the names of what it concerns.
type RefusalInfo struct {
	Refusal
	SiteName   string
	DeviceName string
	User       UserID // of the device
	UserName   string
}

// RefusalQuery selects refusals; zero fields select all.
type RefusalQuery struct {
	Site  SiteID
	Since time.Time // the day of that in UTC, and later
	Limit int       // at most so many, the latest; not 0
}
