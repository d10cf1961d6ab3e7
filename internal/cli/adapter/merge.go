package adapter

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/spalora/spalora/checkpoint/safetensors"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/files"
	"github.com/spalora/spalora/lora"
)

// mergeRun is one run of "adapter merge".
type mergeRun struct {
	flags     cli.ClassifierFlags
	log       cli.LogFlags
	task      string
	outputDir string
	dtype     string
	overwrite bool
	threads   int

	env     cli.Env
	console *cli.Console
}

const mergeExamples = `  adapter merge --model DIR --adapter runs/mine --output-dir merged

  # half the size; rounded, so logits differ a little
  adapter merge --model DIR --adapter runs/mine --output-dir merged --dtype bfloat16`

func merge(env cli.Env) *cobra.Command {
	r := &mergeRun{env: env}
	cmd := &cobra.Command{
		Use:   "merge",
		Short: "Work an adapter into its base model and write a checkpoint",
		Long: fmt.Sprintf(`Add the corrections of an adapter to the weights of its base model and write the result as a Hugging Face directory,
which transformers opens: model.safetensors, config.json (of a classifier with the class names), and the tokenizer's files. A quantised
base (GGUF) is written with its values widened.

Before anything is written, the merged values are checked to be finite, and the logits of the merged model are compared with
those of base and adapter on a few token sequences. The largest difference is printed; in float32 one above %g of the
largest logit is an error. The directory appears whole or not at all.
Exit codes: 0 done, 1 failure, 2 wrong usage, 3 bad input file, 4 stopped by a signal.`, float32Bound),
		Example: mergeExamples,
		RunE:    func(cmd *cobra.Command, _ []string) error { return r.run(cmd.Context()) },
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	cli.Section(fs, "Model", func(fs *pflag.FlagSet) {
		r.flags.Add(fs)
		fs.Lookup("model").Usage = "`directory` of a Hugging Face checkpoint, or GGUF file; default: the embedded model of the adapter's task"
		fs.Lookup("adapter").Usage = "`directory` of an adapter, of finetune or of PEFT"
		fs.StringVar(&r.task, "task", "", strings.Join(commands(), ", ")+": what an adapter is for that does not say it; default: as it says, or as its tensors and the base's class tell")
	})
	cli.Section(fs, "Output", func(fs *pflag.FlagSet) {
		fs.StringVar(&r.outputDir, "output-dir", "", "`directory` to write; its parent must exist")
		fs.StringVar(&r.dtype, "dtype", "float32", cli.DTypes+": how weights are stored")
		fs.BoolVar(&r.overwrite, "overwrite", false, "replace --output-dir with all it holds")
		fs.IntVar(&r.threads, "threads", 0, "processors to use; 0: all. Results do not depend on it")
	})
	cli.Section(fs, "Messages", r.log.Add)
	cli.Leaf(cmd)
	return cmd
}

func (r *mergeRun) run(ctx context.Context) (err error) {
	if r.console, err = cli.NewConsole(r.env, r.log); err != nil {
		return err
	}
	t, err := r.checkFlags()
	if err != nil {
		return err
	}
	task, sure, err := r.told()
	if err != nil {
		return err
	}
	builtIn := cli.MiniLM()
	if task == cli.CausalLanguageModel().Name {
		builtIn = cli.GPT()
	}
	base, err := cli.OpenBase(r.flags.Model, builtIn)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, base.Close()) }()
	if !sure {
		if task, err = r.recognise(base, task); err != nil {
			return err
		}
	}
	if err := r.checkLabels(task); err != nil {
		return err
	}
	j, err := r.open(base, task)
	if err != nil {
		return err
	}
	pool, err := cli.NewPool(r.threads)
	if err != nil {
		return err
	}
	defer pool.Close()
	weights, err := lora.Merge(j.model.TextModel, j.set, pool)
	if err != nil {
		return err
	}
	tensors, err := cli.StoreWeights(weights, t, "dtype")
	if err != nil {
		return fmt.Errorf("merge: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	d, err := j.compare(tensors, pool)
	if err != nil {
		return err
	}
	if err := d.check(t); err != nil {
		return err
	}
	config, err := cli.EditConfig(base.Source.Config(), t, j.config)
	if err != nil {
		return fmt.Errorf("merge: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	err = files.WriteDir(r.outputDir, r.overwrite, func(dir *files.Dir) error {
		for _, name := range slices.Sorted(maps.Keys(j.beside)) {
			if err := dir.WriteFile(name, files.Bytes(j.beside[name])); err != nil {
				return err
			}
		}
		return cli.ModelFiles{Base: base, Config: config, Tensors: tensors}.Write(dir.WriteFile)
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(r.env.Out, "merged %d tensors (%s); logits of the merged and the attached model differ by at most %.2g (largest logit %.3g)\nmodel: %s\n",
		len(tensors), cli.DTypeName(t), d.difference, d.logit, r.outputDir)
	return nil
}

// checkFlags checks everything that can be checked before a file is opened.
func (r *mergeRun) checkFlags() (safetensors.DType, error) {
	t, err := cli.ParseDType("dtype", r.dtype)
	var errs []error
	if err != nil {
		errs = append(errs, err)
	}
	if r.flags.Adapter == "" {
		errs = append(errs, errors.New("--adapter is missing; give the directory of the adapter to merge"))
	}
	if r.outputDir == "" {
		errs = append(errs, errors.New("--output-dir is missing; give the directory to write"))
	}
	if len(errs) > 0 {
		return t, cli.UsageError(errors.Join(errs...))
	}
	if err := files.CheckOutput(r.outputDir, r.overwrite); err != nil {
		return t, cli.UsageError(err)
	}
	if within(r.outputDir, r.flags.Model) || within(r.outputDir, r.flags.Adapter) {
		return t, cli.UsageError(fmt.Errorf("--output-dir %s holds --model or --adapter and would replace it; give another", r.outputDir))
	}
	if err := replaceable(r.outputDir); err != nil {
		return t, cli.UsageError(err)
	}
	parent := filepath.Dir(filepath.Clean(r.outputDir))
	if info, err := os.Stat(parent); err != nil || !info.IsDir() {
		return t, cli.UsageError(fmt.Errorf("--output-dir %s: there is no directory %s; make it first", r.outputDir, parent))
	}
	return t, nil
}

// within reports whether path is dir or lies below it.
func within(dir, path string) bool {
	top, err := os.Stat(dir)
	if err != nil || path == "" {
		return false
	}
	if path, err = filepath.EvalSymlinks(path); err == nil {
		path, err = filepath.Abs(path)
	}
	for err == nil {
		var info fs.FileInfo
		if info, err = os.Stat(path); err == nil && os.SameFile(top, info) {
			return true
		}
		if up := filepath.Dir(path); up != path {
			path = up
			continue
		}
		break
	}
	return false
}

// replaceable errs if dir holds anything but a model: --overwrite replaces it whole.
func replaceable(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil
	}
	if err == nil {
		_, err = os.Stat(filepath.Join(dir, "config.json"))
	}
	if err != nil {
		return fmt.Errorf("--output-dir %s: it holds other things than a model, and all of them would be replaced; give another", dir)
	}
	return nil
}
