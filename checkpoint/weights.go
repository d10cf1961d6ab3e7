package checkpoint

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/spalora/spalora/checkpoint/internal/strictjson"
)

const (
	singleName = "model.safetensors"
	indexName  = "model.safetensors.index.json"
	extension  = ".safetensors"
)

// shardName matches the names that transformers gives the parts of a checkpoint: part, number of parts.
var shardName = regexp.MustCompile(`^(.+)-(\d{5})-of-(\d{5})\.safetensors$`)

// deviceName matches the names that Windows uses for devices in any directory, with any extension.
var deviceName = regexp.MustCompile(`^(CON|PRN|AUX|NUL|(COM|LPT)[0-9])$`)

// openWeights opens the weights in transformers' order of preference: the single file, the index, other safetensors
// files; then a GGUF file with transformers' names.
func (s *Source) openWeights() error {
	files := s.files
	if g, ok := s.store.(*ggufFile); ok {
		s.notes = append(s.notes, g.Notes()...)
		s.shards = append(s.shards, g)
		return s.takeTensors([]string{g.name})
	}
	if slices.Contains(files, singleName) {
		return s.openShards([]string{singleName})
	}
	if slices.Contains(files, indexName) {
		return s.openIndex()
	}
	var parts []string
	for _, name := range files {
		if strings.HasSuffix(name, extension) && !strings.HasPrefix(name, "adapter_model") {
			parts = append(parts, name)
		}
	}
	switch {
	case len(parts) == 0 && slices.Contains(files, quantisedName):
		return s.openShards([]string{quantisedName})
	case len(parts) == 0:
		return noWeights(files)
	}
	if err := checkParts(parts); err != nil {
		return err
	}
	return s.openShards(parts)
}

// noWeights returns the error for a directory without safetensors files.
func noWeights(files []string) error {
	for _, name := range files {
		switch {
		case strings.HasPrefix(name, "pytorch_model") ||
			slices.Contains([]string{".bin", ".pt", ".pth"}, path.Ext(name)):
			return fmt.Errorf("the weights are only in %s, a Python pickle, which can run code and is never read; convert "+
				"them: "+
				`python -c "import sys; from transformers import AutoConfig as C; import transformers as t; d, o = sys.argv[1:]; `+
				`getattr(t, C.from_pretrained(d).architectures[0]).from_pretrained(d).save_pretrained(o)" MODEL_DIR NEW_DIR`, name)
		case strings.HasPrefix(name, "adapter_model"):
			return errors.New("no model.safetensors: this is an adapter; give the directory of its base model here")
		case path.Ext(name) == ".gguf":
			return fmt.Errorf("no model.safetensors, but %s; to use that, give its path instead of the directory's", name)
		case path.Ext(name) == ".h5" || path.Ext(name) == ".msgpack" || path.Ext(name) == ".onnx":
			return fmt.Errorf("no model.safetensors: the weights are only in %s, which is not read; "+
				"use the model's safetensors files", name)
		}
	}
	return errors.New("no model.safetensors and no model.safetensors.index.json: the weights are missing")
}

// checkParts returns an error if a file is named as one of several parts and another part is missing.
func checkParts(names []string) error {
	for _, name := range names {
		m := shardName.FindStringSubmatch(name)
		if m == nil {
			continue
		}
		total, err := strconv.Atoi(m[3])
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		for i := 1; i <= total; i++ {
			if part := fmt.Sprintf("%s-%05d-of-%s.safetensors", m[1], i, m[3]); !slices.Contains(names, part) {
				return fmt.Errorf("%s exists, but %s is missing; the download is not complete", name, part)
			}
		}
	}
	return nil
}

// openShards opens the files and registers their tensors.
func (s *Source) openShards(names []string) error {
	for _, name := range names {
		if _, ok := slices.BinarySearch(s.files, name); !ok {
			return fmt.Errorf("%s is missing; the download is not complete", name)
		}
		f, err := s.store.weights(name)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		s.shards = append(s.shards, f)
	}
	return s.takeTensors(names)
}

// takeTensors registers the tensors of all shards, whose file names are names. It returns an error if a tensor is in
// two shards, or if there are no tensors.
func (s *Source) takeTensors(names []string) error {
	for i, f := range s.shards {
		for _, tensor := range f.Names() {
			if first, twice := s.shard[tensor]; twice {
				return fmt.Errorf("tensor %q is in %s and again in %s", strictjson.Clip(tensor), names[first], names[i])
			}
			s.shard[tensor] = i
			s.order = append(s.order, tensor)
		}
	}
	if len(s.order) == 0 {
		return fmt.Errorf("%s: no tensors in it", strings.Join(names, ", "))
	}
	return nil
}

// index is model.safetensors.index.json.
type index struct {
	Metadata struct {
		TotalSize *json.Number `json:"total_size"` // some writers store a float
	} `json:"metadata"`
	WeightMap map[string]string `json:"weight_map"` // tensor → file
}

func (s *Source) openIndex() error {
	data, err := s.read(indexName)
	if err == nil {
		err = s.openIndexed(data)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", indexName, err)
	}
	return nil
}

func (s *Source) openIndexed(data []byte) error {
	var x index
	if err := decode(data, &x); err != nil {
		return err
	}
	if len(x.WeightMap) == 0 {
		return errors.New("weight_map is empty or missing")
	}
	var names []string
	for tensor, file := range x.WeightMap {
		if err := checkShardName(file); err != nil {
			return fmt.Errorf("tensor %q: %w", strictjson.Clip(tensor), err)
		}
		names = append(names, file)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if err := s.openShards(names); err != nil {
		return err
	}
	return s.compareIndex(x, names)
}

// compareIndex returns an error unless the index and the shards list the same tensors, and notes a wrong total size.
func (s *Source) compareIndex(x index, files []string) error {
	var wrong []string
	size := 0
	for _, tensor := range s.order {
		file := files[s.shard[tensor]]
		if listed, ok := x.WeightMap[tensor]; !ok {
			wrong = append(wrong, fmt.Sprintf("%q is in %s but not in the index", strictjson.Clip(tensor), file))
		} else if listed != file {
			wrong = append(wrong, fmt.Sprintf("%q is in %s, not in %s", strictjson.Clip(tensor), file, listed))
		}
		t, _ := s.Tensor(tensor)
		size += len(t.Data)
	}
	for tensor, file := range x.WeightMap {
		if _, ok := s.shard[tensor]; !ok {
			wrong = append(wrong, fmt.Sprintf("%q is not in %s", strictjson.Clip(tensor), file))
		}
	}
	if len(wrong) > 0 {
		slices.Sort(wrong)
		return fmt.Errorf("index and files disagree: %s", list(wrong, "; "))
	}
	if n := x.Metadata.TotalSize; n != nil {
		if total, err := n.Float64(); err != nil || total != float64(size) {
			s.notes = append(s.notes, fmt.Sprintf("%s gives total_size %s, but the tensors take %d bytes", indexName, *n, size))
		}
	}
	return nil
}

// checkShardName returns an error unless an index may name this file.
func checkShardName(name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	if !strings.HasSuffix(name, extension) {
		return fmt.Errorf("file %q does not end in %s", strictjson.Clip(name), extension)
	}
	return nil
}

// checkName returns an error if name could mean anything but a file in the model's directory, on any operating system.
func checkName(name string) error {
	bad := name == "" || name == "." || strings.Contains(name, "..") || strings.ContainsAny(name, `/\:*?"<>|`) ||
		strings.HasSuffix(name, ".") || strings.HasSuffix(name, " ")
	for _, r := range name {
		bad = bad || r < 0x20 || r == 0x7f
	}
	stem, _, _ := strings.Cut(strings.ToUpper(name), ".")
	if bad || deviceName.MatchString(strings.TrimSpace(stem)) {
		return fmt.Errorf("file name %q is not the plain name of a file in the model's directory", strictjson.Clip(name))
	}
	return nil
}

// list joins items for a message; it cuts a long list and adds the number of items.
func list(items []string, separator string) string {
	const most = 10
	if len(items) <= most {
		return strings.Join(items, separator)
	}
	return fmt.Sprintf("%s%s… (%d in all)", strings.Join(items[:most], separator), separator, len(items))
}
