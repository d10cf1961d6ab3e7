package adapter

import (
	"errors"
	"fmt"
	"math"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/task"
	"github.com/spalora/spalora/tasks"
)

const reduceExamples = `  adapter reduce --adapter runs/mine --rank 4 --output-dir small`

func reduce(env cli.Env, list []task.Descriptor) *cobra.Command {
	var dir string
	var rank int
	var log cli.LogFlags
	var out output
	cmd := &cobra.Command{
		Use:   "reduce",
		Short: "Lower the rank of an adapter",
		Long: `Write the adapter whose corrections are the best approximations with a lower rank, by singular value
decomposition and without the base model, and print the error of each layer and of all: the Frobenius norm of what is
lost as a share of that of the correction. Layers of a lower rank keep theirs; heads stay. The directory appears
complete or not at all.
` + task.ExitCodes + ".",
		Example: reduceExamples,
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	cli.Section(fs, "Adapter", func(fs *pflag.FlagSet) {
		fs.StringVar(&dir, "adapter", "", "`directory` of the adapter")
		fs.IntVar(&rank, "rank", 0, "rank of the result, at most that of the adapter")
	})
	cli.Section(fs, "Output", out.add)
	cli.Section(fs, "Messages", log.Add)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		console, err := cli.NewConsole(env, log, cmd.Flags())
		if err != nil {
			return err
		}
		switch {
		case dir == "":
			err = errors.New("--adapter is missing; give the directory of an adapter")
		case rank < 1:
			err = fmt.Errorf("--rank is %d; want 1 or more", rank)
		default:
			err = out.check([]string{dir}, "--adapter", replaceableAdapter(task.Kinds(list)))
		}
		if err != nil {
			return cli.UsageError(err)
		}
		a, err := tasks.ReadAdapterDir(task.Kinds(list), dir, console.Log)
		if err != nil {
			return err
		}
		small, report, err := a.Reduce(rank)
		if err != nil {
			return cli.InputError(err)
		}
		a.Detached = small
		if err := a.Write(out.dir, out.overwrite); err != nil {
			return err
		}
		var lost, whole float64
		fmt.Fprintf(env.Out, "%9s %10s %8s  %s\n", "rank", "norm", "error", "layer")
		for _, r := range report {
			lost, whole = lost+r.Error*r.Error, whole+r.Norm*r.Norm
			fmt.Fprintf(env.Out, "%4d→%-4d %10.4g %8s  %s\n", r.Before, r.Rank, r.Norm, share(r.Error, r.Norm), r.Path)
		}
		fmt.Fprintf(env.Out, "error of all corrections: %s\nadapter: %s\n", share(math.Sqrt(lost), math.Sqrt(whole)), out.dir)
		return nil
	}
	cli.Leaf(cmd)
	return cmd
}
