package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

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
	shard  map[string]int // by tensor name
	notes  []string       // what is odd about the checkpoint without being an error
}

// container is an opened file of weights.
type container interface {
	Names() []string // in the order of the data
	Tensor(name string) (safetensors.Tensor, bool)
	Release(data []byte)
	Close() error
}

// Open opens the checkpoint at path: a directory, or a GGUF file, which then looks like one (its name does not matter). It errs, in
// one line that names the file and the remedy, if config.json or the weights are missing or damaged, or the weights come only in a
// format that is not read (pickle).
func Open(path string) (*Source, error) {
	st, err := storeOf(path)
	if err != nil {
		return nil, err
	}
	return open(path, st)
}

// storeOf returns the files of a directory or of a GGUF file.
func storeOf(dir string) (store, error) {
	d, err := openStore(dir)
	if err != nil {
		var path *fs.PathError
		if errors.As(err, &path) {
			err = path.Err // the path is named once, below
		}
		return nil, fmt.Errorf("checkpoint: %s: %w", dir, err)
	}
	return d, nil
}

// FromBytes opens a checkpoint whose files are in memory, by their names in a directory: "config.json", "model.safetensors",
// "tokenizer.json" and so on. The slices must not be changed while the source is in use.
func FromBytes(files map[string][]byte) (*Source, error) {
	return open("(in memory)", memory(files))
}

// Empty returns a source that has the given config.json and no tensors: what a model from scratch is built from.
func Empty(config []byte) (*Source, error) {
	if err := checkJSON(config); err != nil {
		return nil, fmt.Errorf("checkpoint: %s: %w", configName, err)
	}
	return &Source{name: configName, store: memory(nil), config: config}, nil
}

func open(name string, st store) (*Source, error) {
	s := &Source{name: name, store: st, shard: map[string]int{}}
	if err := s.load(); err != nil {
		_ = s.Close() // the error of opening is what the caller needs
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

// noConfig explains a directory without config.json.
func noConfig(files []string) error {
	if slices.Contains(files, "adapter_config.json") {
		return errors.New("no config.json: this is an adapter; give the directory of its base model here")
	}
	return errors.New("no config.json: this is not the directory of a Hugging Face model")
}

// Name returns the path as it was given to Open.
func (s *Source) Name() string { return s.name }

// Config returns the text of config.json, of a GGUF file that which stands for its metadata. The caller must not change it.
func (s *Source) Config() []byte { return s.config }

// DecodeConfig decodes config.json into the struct that v points to, as [DecodeJSON] does.
func (s *Source) DecodeConfig(v any) error {
	if err := decode(s.config, v); err != nil {
		return fmt.Errorf("checkpoint: %s: %s: %w", s.name, configName, err)
	}
	return nil
}

// File returns the content of another file of the checkpoint, such as "tokenizer.json". The error is fs.ErrNotExist if there is no
// such file. A GGUF file has tokenizer.json, tokenizer_config.json (with the chat template) and generation_config.json, made from its
// metadata.
func (s *Source) File(name string) ([]byte, error) {
	if err := checkName(name); err != nil {
		return nil, fmt.Errorf("checkpoint: %s: %w", s.name, err)
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

// read reads a file if the directory lists it under exactly this name; some file systems would find it in another case too.
func (s *Source) read(name string) ([]byte, error) {
	if _, ok := slices.BinarySearch(s.files, name); !ok {
		return nil, fs.ErrNotExist
	}
	return s.store.read(name)
}

// Names returns the names of all tensors, file by file in the order of their data.
func (s *Source) Names() []string { return slices.Clone(s.order) }

// Tensor returns the tensor of that name. Its Data are valid until Close. In a GGUF file DType is GGUF's name of the type, such as
// "Q4_1", the Data are rows of whole blocks, and see [Source.Transposed].
func (s *Source) Tensor(name string) (safetensors.Tensor, bool) {
	i, ok := s.shard[name]
	if !ok {
		return safetensors.Tensor{}, false
	}
	return s.shards[i].Tensor(name)
}

// Transposed reports whether the data of a tensor are its transpose, row by row: GGUF files hold the weights of GPT-2's Conv1D as
// out rows of in elements, where Hugging Face's name, and Shape, stand for in×out.
func (s *Source) Transposed(name string) bool {
	m, ok := s.store.(*ggufFile)
	return ok && m.Transposed(name)
}

// Release tells the system that the mapped pages within data are not needed for now; see [safetensors.File.Release]. Data that are
// not mapped from this checkpoint are left alone.
func (s *Source) Release(data []byte) {
	for _, f := range s.shards {
		f.Release(data)
	}
}

// Close ends all mappings; tensors of the source must not be used afterwards. A second Close does nothing.
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
