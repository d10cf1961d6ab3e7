package adapter

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/task"
)

const unmergeExamples = `  adapter merge --model DIR --adapter runs/mine --output-dir merged --keep-original
  adapter unmerge --model merged --output-dir original`

func unmerge(env cli.Env) *cobra.Command {
	var model string
	var out output
	cmd := &cobra.Command{
		Use:   "unmerge",
		Short: "Restore the base model from a merged one",
		Long: `Write the base model of a merged one, with the same bytes of each tensor and of config.json. The merge must
have had --keep-original, which writes ` + base.OriginalName + ` beside the merged weights: those of the base
model that the merged ones do not determine, and a checksum. The files of the tokenizer are copied. The weights are
written as one file even if the base model had several. The directory appears complete or not at all.
` + task.ExitCodes + ".",
		Example: unmergeExamples,
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	cli.Section(fs, "Model", func(fs *pflag.FlagSet) {
		fs.StringVar(&model, "model", "", "`directory` of the merged model")
	})
	cli.Section(fs, "Output", out.add)
	cmd.RunE = func(*cobra.Command, []string) error {
		if model == "" {
			return cli.UsageError(errors.New("--model is missing; give the directory of a merged model"))
		}
		if err := out.check([]string{model}, "--model", replaceableModel); err != nil {
			return cli.UsageError(err)
		}
		u, err := base.Unmerge(model, out.dir, out.overwrite)
		if err != nil {
			return err
		}
		fmt.Fprintf(env.Out, "restored %d tensors, %d of them from %s\nmodel: %s\n", u.Tensors, u.Kept, base.OriginalName,
			out.dir)
		return nil
	}
	cli.Leaf(cmd)
	return cmd
}
