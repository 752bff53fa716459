package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"time"

	"github.com/ownline/ownline/internal/knock"
	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/world"
)

// knocks measures how long it takes from a knock to being in: with the database in memory,
// and on disk, where every knock waits for the disk once. The former is compared with fwknopd,
// which has its files in memory too.
func (b *bench) knocks(ctx context.Context) error {
	rival, err := b.fwknop(ctx)
	if err != nil { // no reason to measure nothing else
		fmt.Fprintln(os.Stderr, "not compared with fwknopd:", err)
	}
	for _, where := range []struct {
		suffix, parent string
		rival          peer
	}{{"", "/dev/shm", rival}, {"_disk", ".", peer{}}} {
		dir, err := os.MkdirTemp(where.parent, "ownline-bench-")
		if err != nil {
			return err
		}
		err = b.knocksIn(ctx, dir, where.suffix, where.rival)
		if rerr := os.RemoveAll(dir); err == nil {
			err = rerr
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) knocksIn(ctx context.Context, dir, suffix string, rival peer) error {
	w, err := world.New(ctx, world.Options{Programs: b.programs, Dir: dir, Quiet: true})
	if err != nil {
		return err
	}
	defer w.Close()
	service, err := w.API.Create(ctx, "/services", world.Map{
		"site": w.Site, "name": "echo", "kind": "forward", "transport": "tcp",
		"target": netip.AddrPortFrom(w.Bed.Lan.IPv4, bed.EchoPort).String(),
	})
	if err != nil {
		return err
	}
	var me struct{ ID string }
	if err := w.API.Call(ctx, "GET", "/me", nil, &me); err != nil {
		return err
	}
	const port = 20443
	if _, err := w.API.Create(ctx, "/grants", world.Map{"user": me.ID, "service": service, "automatic": true, "public_port": port}); err != nil {
		return err
	}
	// The kernel lets few knocks a second of one device through, so many take turns.
	devices := make([]*world.Device, 50)
	for i := range devices {
		if devices[i], err = w.NewDevice(ctx, fmt.Sprintf("bench-%d", i), nil); err != nil {
			return err
		}
	}
	client, to := w.Bed.Client1, netip.AddrPortFrom(w.Bed.Router.IPv4, port)
	conn, err := client.Dial("udp", w.KnockAddr(false), time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	err = w.Core.Until(ctx, "answer a knock", func(context.Context) error {
		d := devices[len(devices)-1]
		_, err := d.SendOn(conn, d.Knock(), 300*time.Millisecond)
		return err
	})
	if err != nil {
		return err
	}
	var answered, connected []time.Duration
	for i := range b.runs(1000) + 20 {
		if err := w.API.Call(ctx, "DELETE", "/sessions?all=true", nil, nil); err != nil {
			return err
		}
		time.Sleep(3 * time.Millisecond) // the close's own work is done
		d := devices[i%len(devices)]
		began := time.Now()
		a, err := d.SendOn(conn, d.Knock(), time.Second)
		if err != nil {
			return err
		}
		told := time.Since(began)
		in, err := client.Dial("tcp", to, time.Second)
		if err != nil {
			return fmt.Errorf("in after a knock that was answered %v: %w", a.Status, err)
		}
		took := time.Since(began)
		in.Close()
		if a.Status != knock.Opened {
			return fmt.Errorf("the knock was answered %v, not opened", a.Status)
		}
		if i >= 20 { // the first ones warm up
			answered, connected = append(answered, told), append(connected, took)
		}
	}
	in := percentile(connected, 0.5)
	b.compare("knock_to_connect"+suffix+"_p50_ms", in, "ms", rival.name, rival.ratio(in))
	b.add("knock_to_connect"+suffix+"_p99_ms", percentile(connected, 0.99), "ms")
	b.add("knock_to_answer"+suffix+"_p50_ms", percentile(answered, 0.5), "ms")
	return nil
}
