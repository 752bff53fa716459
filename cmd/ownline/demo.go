package main

import (
	"github.com/spf13/cobra"

	"github.com/ownline/ownline/internal/command"
	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/demo"
	"github.com/ownline/ownline/test/world"
)

// demoCommand plays Ownline's main job on a bed.
func demoCommand() *cobra.Command {
	exit := false
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Play the whole story with real packets, in network namespaces of this machine",
		Long: `Build a small internet in network namespaces (two clients, a stranger, a router and a
LAN), run ownline-core and ownline-web in it, and play the story with real packets: a
stranger finds nothing, a phone knocks and is in, the kernel alone ends a download on time.
Every step is checked. Afterwards the pages of that ownline-web can be looked at from this
machine, until Ctrl-C.

Nothing of this machine's own network is changed. Linux only; root, or user namespaces.`,
		Example: "  ownline demo\n  ownline demo --exit",
		Args:    command.Args(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := bed.Enter(); err != nil {
				return err
			}
			programs, err := world.Beside()
			if err != nil {
				return err
			}
			return demo.Run(cmd.Context(), demo.Options{Programs: programs, Out: cmd.OutOrStdout(), Exit: exit})
		},
	}
	cmd.Flags().BoolVar(&exit, "exit", false, "end after the story, with 0 only if every step was seen to hold")
	return cmd
}
