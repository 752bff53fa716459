package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/access"
	"github.com/ownline/ownline/internal/web/auth"
)

// iconPolicy is for the picture opened by itself: it may draw, and nothing else.
const iconPolicy = "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'"

const sampleSVG = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><path d="M4 4h16v16H4z"></path></svg>`

type iconInput struct {
	ByID
	Version     string `query:"v" maxLength:"128" doc:"Anything: a page gives another one with another picture, so that browsers show it"`
	IfNoneMatch string `header:"If-None-Match" maxLength:"256" doc:"The ETag of the picture that one has"`
}

type iconOutput struct {
	Status      int
	ContentType string `header:"Content-Type"`
	ETag        string `header:"ETag" doc:"Changes with the picture"`
	Cache       string `header:"Cache-Control"`
	Policy      string `header:"Content-Security-Policy"`
	NoSniff     string `header:"X-Content-Type-Options"`
	Body        []byte
}

type iconUpload struct {
	ByID
	RawBody []byte `contentType:"image/svg+xml"`
}

func (s *Server) icons() {
	const tag, one = "services", "/services/{id}/icon"
	type builtin struct {
		Names []string `json:"names" nullable:"false" example:"[\"terminal\"]"`
	}
	register(s, operation{method: http.MethodGet, path: "/icons", id: "list-icons", who: users, scope: anyScope(), tag: tag, summary: "List the names of the built-in icons of services"},
		func(context.Context, auth.Identity, *noInput) (*output[builtin], error) {
			return show(builtin{access.BuiltinIcons()}), nil
		})
	register(s, operation{
		method: http.MethodPut, path: one, id: "set-service-icon", who: admins, scope: []string{ownline.ScopeAdmin}, tag: tag, maxBody: 256 << 10, summary: "Upload the picture of a service (admin)",
		description: "A PNG, JPEG or WebP of 512 pixels a side at most, or an SVG. Pictures are written anew: of an SVG only shapes and paint stay. 64 KiB are kept at most. To choose a built-in icon, change the service.",
	},
		func(ctx context.Context, id auth.Identity, in *iconUpload) (*output[service], error) {
			sid, err := parseID[ownline.Service]("id", in.ID)
			if err != nil {
				return nil, err
			}
			v, err := s.access.SetIcon(ctx, actor(id), sid, in.RawBody)
			return show(serviceView(v)), err
		})
	register(s, operation{method: http.MethodGet, path: one, id: "get-service-icon", who: owner, scope: []string{ownline.ScopeRead, ownline.ScopeSessions, ownline.ScopeAdmin}, tag: tag, summary: "The picture that was uploaded for a service"},
		func(ctx context.Context, id auth.Identity, in *iconInput) (*iconOutput, error) {
			sid, err := parseID[ownline.Service]("id", in.ID)
			if err != nil {
				return nil, err
			}
			p, err := s.access.Icon(ctx, actor(id), sid)
			if err != nil {
				return nil, err
			}
			out := iconOf(p, "private, no-cache")
			if in.IfNoneMatch == out.ETag {
				out.Status, out.Body = http.StatusNotModified, nil
			}
			return out, nil
		})
	paths := s.huma.OpenAPI().Paths[base+one]
	upload := paths.Put.RequestBody
	for _, kind := range []string{"image/png", "image/jpeg", "image/webp", "image/svg+xml"} {
		upload.Content[kind] = picture(sampleSVG)
	}
	answer := paths.Get.Responses["200"]
	answer.Content = pictures()
	paths.Get.Responses["304"] = &huma.Response{Description: "The picture is the one that If-None-Match names"}
}

// guestIcon is the picture for guests. What proves that they may see it comes in the body, as always.
func (s *Server) guestIcon() {
	const path = "/invitations/icon"
	register(s, operation{
		method: http.MethodPost, path: path, id: "invitation-icon", fails: []int{http.StatusConflict, http.StatusTooManyRequests}, who: anybody, tag: "invitations",
		summary: "The picture that was uploaded for the service that a link opens, as long as it opens it",
	},
		func(ctx context.Context, id auth.Identity, in *body[linkSecret]) (*iconOutput, error) {
			return asGuest(ctx, s, id, in.Body, func(g access.Guest) (*iconOutput, error) {
				p, err := s.access.GuestIcon(ctx, g)
				return iconOf(p, "no-store"), err
			})
		})
	s.huma.OpenAPI().Paths[base+path].Post.Responses["200"].Content = pictures()
}

func iconOf(p access.Picture, cache string) *iconOutput {
	return &iconOutput{Status: http.StatusOK, ContentType: p.Kind, ETag: `"` + p.Icon + `"`, Cache: cache, Policy: iconPolicy, NoSniff: "nosniff", Body: p.Content}
}

func picture(example any) *huma.MediaType {
	return &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}, Example: example}
}

// pictures are the kinds that are kept.
func pictures() map[string]*huma.MediaType {
	return map[string]*huma.MediaType{"image/svg+xml": picture(sampleSVG), "image/png": picture("…")}
}
