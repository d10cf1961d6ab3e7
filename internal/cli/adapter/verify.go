package adapter

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/task"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/tasks"
)

const verifyExamples = `  adapter verify --model DIR --adapter runs/mine --record   # write outputs beside it
  adapter verify --model DIR --adapter runs/mine            # and compare with them`

func verify(env cli.Env, list []task.Descriptor) *cobra.Command {
	r := &attached{env: env, list: list}
	var log cli.LogFlags
	var write bool
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Check an adapter with its base model",
		Long: fmt.Sprintf(`Load an adapter with its base model and check it: the files, the names and shapes of all tensors,
the fingerprint of the base model if the adapter has one, and NaN or infinite values. If the directory of the adapter
has %s, which --record writes, the outputs for a few fixed token sequences are compared with those in it: a
difference above %g of the largest output is an error.
`, tasks.RecordName, tasks.MergeBound) + task.ExitCodes + ".",
		Example: verifyExamples,
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	cli.Section(fs, "Model", func(fs *pflag.FlagSet) {
		r.addModel(fs)
		fs.StringVar(&r.adapter.Dir, "adapter", "", "`directory` of the adapter")
		r.addTask(fs)
	})
	cli.Section(fs, "Check", func(fs *pflag.FlagSet) {
		fs.BoolVar(&write, "record", false, "write "+tasks.RecordName+" with the outputs to the directory of the adapter")
		r.addThreads(fs)
	})
	cli.Section(fs, "Messages", log.Add)
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		if r.console, err = cli.NewConsole(env, log, cmd.Flags()); err != nil {
			return err
		}
		if r.adapter.Dir == "" {
			return cli.UsageError(errors.New("--adapter is missing; give the directory of an adapter"))
		}
		if r.threads < 0 {
			return cli.UsageError(cli.ThreadsError(r.threads))
		}
		m, err := r.open()
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, r.close()) }()
		return r.verify(m, write)
	}
	cli.Leaf(cmd)
	return cmd
}

// verify checks an adapter that has been loaded.
func (r *attached) verify(m *tasks.Merging, write bool) error {
	d, err := m.Set.Detach()
	if err != nil {
		return err
	}
	if bad := d.NonFinite(); len(bad) > 0 {
		return cli.InputError(fmt.Errorf("%s: %d tensors are not finite: %s; train the adapter again", r.adapter.Dir,
			len(bad), bad[0]))
	}
	tensors, err := lora.Tensors(r.adapter.Dir)
	if err != nil {
		return cli.InputError(err)
	}
	known := "matches"
	if m.Set.Fingerprint() == "" {
		known = "is not in the adapter"
	} else if r.adapter.OtherBase {
		known = "may differ, by --allow-other-base"
	}
	text := fmt.Sprintf("%d tensors fit, all values are finite\nfingerprint of the base model: %s\n", len(tensors), known)
	if write {
		if err := m.Record(r.adapter.Dir, r.pool); err != nil {
			return err
		}
		fmt.Fprintf(r.env.Out, "%soutputs: recorded in %s\n", text, tasks.RecordName)
		return nil
	}
	difference, found, err := m.Verify(r.adapter.Dir, r.pool)
	if err != nil {
		return err
	}
	if !found {
		fmt.Fprintf(r.env.Out, "%soutputs: not recorded; --record does it\n", text)
		return nil
	}
	fmt.Fprintf(r.env.Out, "%soutputs: differ from those recorded by %.2g of the largest\n", text, difference)
	return nil
}
