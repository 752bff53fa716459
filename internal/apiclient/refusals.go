package apiclient

import (
	"context"
	"strconv"
	"time"
)

// Refusal is how often knocks were refused for one reason.
type Refusal struct {
	Site       string    `json:"site,omitempty"` // "": nobody knows
	SiteName   string    `json:"site_name,omitempty"`
	Device     string    `json:"device,omitempty"` // "": nobody knows
	DeviceName string    `json:"device_name,omitempty"`
	User       string    `json:"user,omitempty"`
	UserName   string    `json:"user_name,omitempty"`
	Reason     string    `json:"reason"`
	Number     uint64    `json:"number"`
	First      time.Time `json:"first"`
	Latest     time.Time `json:"latest"`
}

// Refusals lists how often knocks were refused on the last days, at a site or ("") everywhere (admin).
func (c *Client) Refusals(ctx context.Context, site string, days int) ([]Refusal, error) {
	return items[Refusal](ctx, c, "/refusals?"+query("site", site, "days", strconv.Itoa(days)).Encode())
}
