package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/spalora/spalora/checkpoint/internal/magic"
	"github.com/spalora/spalora/checkpoint/safetensors"
)

const configName = "config.json"

// Source is an opened checkpoint. It is safe for concurrent use, except that Close must come last.
type Source struct {
	name   string
	store  store
	files  []string // names of all files, sorted
	config []byte
	shards []container
	order  []string       // tensor names, shard by shard in the order of the files
	shard  map[string]int // index of the shard by tensor name
	notes  []string       // oddities of the checkpoint that are not errors
}

// container is an opened file that holds weights.
type container interface {
	Names() []string // in the order of the data
	Tensor(name string) (safetensors.Tensor, bool)
	Release(data []byte) (mapped bool)
	Close() error
}

// Open opens the checkpoint at path: a directory, or a GGUF file with any name, which is presented as such a directory.
// It returns an error if config.json or the weights are missing or damaged, or if the weights are only available in a
// format that is not read (pickle). The error is one line with the file and the remedy.
func Open(path string) (*Source, error) {
	st, err := storeOf(path)
	if err != nil {
		return nil, err
	}
	return open(path, st)
}

// storeOf opens the store for a directory or a GGUF file.
func storeOf(dir string) (store, error) {
	d, err := openStore(dir)
	if err != nil {
		var path *fs.PathError
		if errors.As(err, &path) {
			err = path.Err // the path is added once, below
		}
		return nil, fmt.Errorf("checkpoint: %s: %w", dir, err)
	}
	return d, nil
}

// FromBytes opens a checkpoint whose files are in memory. The keys are the names of the files in a directory:
// "config.json", "model.safetensors", "tokenizer.json" and so on. The slices must not be changed while the source is in
// use.
func FromBytes(files map[string][]byte) (*Source, error) {
	return open("(in memory)", memory(files))
}

// Empty returns a source with the given config.json and no tensors, from which a new model can be built.
func Empty(config []byte) (*Source, error) {
	if err := checkJSON(config); err != nil {
		return nil, fmt.Errorf("checkpoint: %s: %w", configName, err)
	}
	return &Source{name: configName, store: memory(nil), config: config}, nil
}

func open(name string, st store) (*Source, error) {
	s := &Source{name: name, store: st, shard: map[string]int{}}
	if err := s.load(); err != nil {
		_ = s.Close() // the caller needs the error of opening
		return nil, fmt.Errorf("checkpoint: %s: %w", name, err)
	}
	return s, nil
}

func (s *Source) load() error {
	var err error
	if s.files, err = s.store.list(); err != nil {
		return err
	}
	s.config, err = s.read(configName)
	if errors.Is(err, fs.ErrNotExist) {
		return noConfig(s.files)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", configName, err)
	}
	if err := checkJSON(s.config); err != nil {
		return fmt.Errorf("%s: %w", configName, err)
	}
	return s.openWeights()
}

// noConfig returns the error for a directory without config.json.
func noConfig(files []string) error {
	if slices.Contains(files, "adapter_config.json") {
		return errors.New("no config.json: this is an adapter; give the directory of its base model here")
	}
	return errors.New("no config.json: this is not the directory of a Hugging Face model; give one")
}

// Name returns the path that was given to Open.
func (s *Source) Name() string { return s.name }

// Config returns the text of config.json, or for a GGUF file the equivalent text made from its metadata. The caller
// must not change it.
func (s *Source) Config() []byte { return s.config }

// DecodeConfig decodes config.json into the struct that v points to, as [DecodeJSON] does.
func (s *Source) DecodeConfig(v any) error {
	if err := decode(s.config, v); err != nil {
		return fmt.Errorf("checkpoint: %s: %s: %w", s.name, configName, err)
	}
	return nil
}

// File returns the content of another file of the checkpoint, such as "tokenizer.json", or "1_Pooling/config.json" in a
// directory below. The error is fs.ErrNotExist if the file does not exist. A GGUF file has tokenizer.json,
// tokenizer_config.json (with the chat template) and generation_config.json, made from its metadata.
func (s *Source) File(name string) ([]byte, error) {
	for part := range strings.SplitSeq(name, "/") {
		if err := checkName(part); err != nil {
			return nil, fmt.Errorf("checkpoint: %s: %w", s.name, err)
		}
	}
	data, err := s.read(name)
	if err == nil {
		if what := magic.Explain(data); what != "" {
			err = errors.New(what)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %s: %s: %w", s.name, name, err)
	}
	return data, nil
}

// read reads a file if the directory lists exactly this name; some file systems would also find the name in another
// case.
func (s *Source) read(name string) ([]byte, error) {
	_, listed := slices.BinarySearch(s.files, name)
	if top, _, below := strings.Cut(name, "/"); below && !listed {
		_, listed = slices.BinarySearch(s.files, top) // a directory lists those directly in it
	}
	if !listed {
		return nil, fs.ErrNotExist
	}
	return s.store.read(name)
}

// Names returns the names of all tensors, file by file, in the order of their data.
func (s *Source) Names() []string { return slices.Clone(s.order) }

// Tensor returns the tensor with the given name and whether it exists. Its Data are valid until Close. In a GGUF file
// DType is GGUF's name of the type, such as "Q4_1", and the Data are rows of whole blocks; see also
// [Source.Transposed].
func (s *Source) Tensor(name string) (safetensors.Tensor, bool) {
	i, ok := s.shard[name]
	if !ok {
		return safetensors.Tensor{}, false
	}
	return s.shards[i].Tensor(name)
}

// Transposed reports whether a tensor's data are stored transposed: GGUF files store the weights of GPT-2's Conv1D as
// out rows of in elements, while Hugging Face's name and Shape mean in×out.
func (s *Source) Transposed(name string) bool {
	m, ok := s.store.(*ggufFile)
	return ok && m.Transposed(name)
}

// Release tells the system that the mapped pages within data are not needed for now; see [safetensors.File.Release]. It
// returns false for data that is not mapped from this checkpoint, which it ignores.
func (s *Source) Release(data []byte) (mapped bool) {
	for _, f := range s.shards {
		mapped = f.Release(data) || mapped
	}
	return mapped
}

// Close removes all mappings; tensors of the source must not be used afterwards. A second Close does nothing.
func (s *Source) Close() error {
	var errs []error
	for _, f := range s.shards {
		errs = append(errs, f.Close())
	}
	if s.store != nil {
		errs = append(errs, s.store.close())
	}
	s.shards, s.store, s.shard, s.order = nil, memory(nil), nil, nil
	return errors.Join(errs...)
}
