package adapter

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/checkpoint/safetensors"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/task"
	"github.com/spalora/spalora/internal/files"
	"github.com/spalora/spalora/tasks"
)

// mergeRun is one run of "adapter merge".
type mergeRun struct {
	attached
	adapters string
	further  []base.Adapter // all but the first
	log      cli.LogFlags
	out      output
	dtype    string
	keep     bool
}

// keepType is the --dtype of weights that are stored as in the base model.
const keepType = "keep"

const mergeExamples = `  adapter merge --model DIR --adapter runs/mine --output-dir merged

  # half the size; rounded, so logits differ a little
  adapter merge --model DIR --adapter runs/mine --output-dir merged --dtype bfloat16

  # two adapters, in the types of the base model; adapter unmerge restores it
  adapter merge --model DIR --adapter runs/style,runs/facts --output-dir merged --dtype keep --keep-original`

func merge(env cli.Env, list []task.Descriptor) *cobra.Command {
	r := &mergeRun{attached: attached{env: env, list: list}}
	cmd := &cobra.Command{
		Use:   "merge",
		Short: "Merge an adapter into its base model and write a checkpoint",
		Long: fmt.Sprintf(`Add the weights of an adapter to those of its base model and write the result as a Hugging Face
directory, which transformers opens: model.safetensors, config.json (for a classifier with the class names), and the
tokenizer's files. The weights of a quantised base (GGUF) are dequantised.

Before it writes anything, the command checks that the merged values are finite, and compares the logits of the merged
model with those of base and adapter on a few token sequences. It prints the largest difference; in float32 a difference
above %g of the largest logit is an error. The directory appears complete or not at all.

Several adapters are merged one after another, as in PEFT; only the first may have a head or other modules_to_save.
`, tasks.MergeBound) + task.ExitCodes + ".",
		Example: mergeExamples,
		RunE:    func(cmd *cobra.Command, _ []string) error { return r.run(cmd) },
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	cli.Section(fs, "Model", func(fs *pflag.FlagSet) {
		r.addModel(fs)
		fs.StringVar(&r.adapters, "adapter", "",
			"`directory` of an adapter, of finetune or of PEFT; several separated by commas are merged one after another")
		r.addTask(fs)
	})
	cli.Section(fs, "Output", func(fs *pflag.FlagSet) {
		r.out.add(fs)
		fs.StringVar(&r.dtype, "dtype", "float32",
			base.DTypes+": how weights are stored; "+keepType+": as in --model, quantised ones as float32")
		fs.BoolVar(&r.keep, "keep-original", false,
			"also write "+base.OriginalName+", with which adapter unmerge restores the base model")
		r.addThreads(fs)
	})
	cli.Section(fs, "Messages", r.log.Add)
	cli.Leaf(cmd)
	return cmd
}

func (r *mergeRun) run(cmd *cobra.Command) (err error) {
	if r.console, err = cli.NewConsole(r.env, r.log, cmd.Flags()); err != nil {
		return err
	}
	t, err := r.checkFlags()
	if err != nil {
		return err
	}
	m, err := r.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	for _, a := range r.further {
		if err := m.Add(a, r.kind.TaskType, r.console.Log, r.pool); err != nil {
			return err
		}
	}
	o := tasks.MergeOptions{DType: t, Overwrite: r.out.overwrite, KeepOriginal: r.keep}
	d, err := m.Merge(cmd.Context(), r.out.dir, o, r.pool)
	if err != nil {
		return err
	}
	fmt.Fprintf(r.env.Out,
		"merged %d tensors (%s); logits of the merged and the attached model differ by at most %.2g (largest "+
			"logit %.3g)\nmodel: %s\n",
		d.Tensors, base.DTypeName(d.DType), d.Difference, d.Logit, r.out.dir)
	return nil
}

// directories returns the paths in a list separated by commas. A path that exists with a comma in its name is not
// split.
func directories(list string) []string {
	if _, err := os.Stat(list); err == nil || !strings.Contains(list, ",") {
		return []string{list}
	}
	return strings.Split(list, ",")
}

// checkFlags checks everything that can be checked before a file is opened.
func (r *mergeRun) checkFlags() (safetensors.DType, error) {
	var t safetensors.DType
	var errs []error
	if r.dtype != keepType {
		var err error
		if t, err = base.ParseDType("dtype", r.dtype); err != nil {
			errs = append(errs, fmt.Errorf("%w, or %s", err, keepType))
		}
	}
	dirs := directories(r.adapters)
	for i, dir := range dirs {
		a := base.Adapter{Dir: dir, OtherBase: r.adapter.OtherBase}
		if i == 0 {
			r.adapter = a
			continue
		}
		r.further = append(r.further, a)
		if slices.ContainsFunc(dirs[:i], func(other string) bool { return files.Same(dir, other) }) {
			errs = append(errs, fmt.Errorf("--adapter has %s twice; give each adapter once", dir))
		}
	}
	if r.adapter.Dir == "" {
		errs = append(errs, errors.New("--adapter is missing; give the directory of the adapter to merge"))
	}
	if len(errs) > 0 {
		return t, cli.UsageError(errors.Join(errs...))
	}
	if err := r.out.check(append(dirs, r.model), "--model or --adapter", replaceableModel); err != nil {
		return t, cli.UsageError(err)
	}
	if r.threads < 0 {
		return t, cli.UsageError(cli.ThreadsError(r.threads))
	}
	return t, nil
}
