package apiclient

import (
	"context"
	"time"
)

// AuditLine is a line of the audit log.
type AuditLine struct {
	ID        string    `json:"id"`
	At        time.Time `json:"at"`
	Actor     string    `json:"actor,omitempty"` // "": the system itself, or a stranger
	ActorName string    `json:"actor_name,omitempty"`
	By        string    `json:"by"`
	Client    string    `json:"client,omitempty"`
	Action    string    `json:"action"`
	Subject   string    `json:"subject"`
	Site      string    `json:"site,omitempty"`
	SiteName  string    `json:"site_name,omitempty"`
	Detail    string    `json:"detail"`
}

// AuditQuery selects lines of the audit log; what is zero selects all.
type AuditQuery struct {
	Actor, By, Action, Subject, Site string
	From, Until                      time.Time
	Limit                            int // the newest so many; 0: all
}

// Audit lists the audit log, the newest first (admin).
func (c *Client) Audit(ctx context.Context, q AuditQuery) ([]AuditLine, error) {
	v := query("actor", q.Actor, "by", q.By, "action", q.Action, "subject", q.Subject, "site", q.Site, "from", moment(q.From), "until", moment(q.Until))
	return newest(ctx, c, "/audit", v, q.Limit, []AuditLine{})
}
