package netlink_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ownline/ownline/internal/core/firewall/netlink"
	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/bed/bedtest"
)

func TestMain(m *testing.M) { bedtest.Main(m) }

func dial(t *testing.T, h *bed.Host) *netlink.Conn {
	t.Helper()
	var c *netlink.Conn
	if err := h.Do(func() (err error) { c, err = netlink.Dial(unix.NETLINK_NETFILTER); return err }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

const nftables = unix.NFNL_SUBSYS_NFTABLES << 8

func begin(m *netlink.Message, kind, flags uint16, family byte, res ...byte) {
	m.Begin(kind, flags)
	m.Raw(family, 0, 0, byte(len(res)*unix.NFNL_SUBSYS_NFTABLES))
}

// batch makes tables, or deletes them.
func batch(kind uint16, tables ...string) *netlink.Message {
	var m netlink.Message
	begin(&m, unix.NFNL_MSG_BATCH_BEGIN, 0, 0, 1)
	for _, name := range tables {
		begin(&m, nftables|kind, unix.NLM_F_CREATE, unix.NFPROTO_INET)
		m.String(unix.NFTA_TABLE_NAME, name)
	}
	m.Ack()
	begin(&m, unix.NFNL_MSG_BATCH_END, 0, 0, 1)
	return &m
}

func tables(t *testing.T, c *netlink.Conn) []string {
	t.Helper()
	var m netlink.Message
	begin(&m, nftables|unix.NFT_MSG_GETTABLE, unix.NLM_F_DUMP, unix.NFPROTO_INET)
	var names []string
	err := c.Do(&m, func(_ uint16, body []byte) error {
		for kind, v := range netlink.Attributes(body[4:]) {
			if kind == unix.NFTA_TABLE_NAME {
				names = append(names, netlink.String(v))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestBatch(t *testing.T) {
	c := dial(t, bedtest.New(t).Router)
	if err := c.Batch(batch(unix.NFT_MSG_NEWTABLE, "a", "b")); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(tables(t, c), " "); got != "a b" {
		t.Errorf("tables %s", got)
	}
	// All or nothing, the first error is told, and the socket goes on working.
	err := c.Batch(batch(unix.NFT_MSG_DELTABLE, "a", "none", "neither", "b"))
	if !errors.Is(err, unix.ENOENT) || !strings.Contains(err.Error(), "message 3 of 6") {
		t.Errorf("deleting what is not there: %v", err)
	}
	if got := strings.Join(tables(t, c), " "); got != "a b" {
		t.Errorf("tables %s after a refused batch", got)
	}
	if err := c.Batch(batch(unix.NFT_MSG_DELTABLE, "a", "b")); err != nil {
		t.Error(err)
	}
	if got := tables(t, c); len(got) != 0 {
		t.Errorf("tables %s are left", got)
	}
}

func TestDo(t *testing.T) {
	c := dial(t, bedtest.New(t).Router)
	var m netlink.Message
	begin(&m, nftables|unix.NFT_MSG_GETTABLE, unix.NLM_F_ACK, unix.NFPROTO_INET)
	m.String(unix.NFTA_TABLE_NAME, "none")
	if err := c.Do(&m, nil); !errors.Is(err, unix.ENOENT) {
		t.Errorf("asking for what is not there: %v", err)
	}
	if err := c.Batch(batch(unix.NFT_MSG_NEWTABLE, "a", "b")); err != nil {
		t.Fatal(err)
	}
	// An error of each ends the reading, but leaves nothing behind.
	stop := errors.New("stop")
	var dump netlink.Message
	begin(&dump, nftables|unix.NFT_MSG_GETTABLE, unix.NLM_F_DUMP, unix.NFPROTO_INET)
	if err := c.Do(&dump, func(uint16, []byte) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("Do = %v, want %v", err, stop)
	}
	if got := tables(t, c); len(got) != 2 {
		t.Errorf("tables %s", got)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := c.Close(); err != nil {
		t.Errorf("closing twice: %v", err)
	}
	if err := c.Do(&dump, nil); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Do = %v after Close", err)
	}
}
