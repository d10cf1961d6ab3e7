package bench

import (
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"testing"

	"github.com/rs/zerolog"

	"github.com/spalora/spalora"
	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/embedded"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
)

// BenchmarkAdapters opens 1,000 adapters (r = 8 on query and value, with pooler and classifier) on one MiniLM and
// reports the milliseconds for each, and the memory of the process that holds them all: with lora.Load and through the
// front door. Memory is exact if only one of both runs (-bench Adapters/Load).
func BenchmarkAdapters(b *testing.B) {
	const n, files = 1000, 8
	src, err := base.FromFiles(embedded.MiniLMName, embedded.MiniLM())
	if err != nil {
		b.Fatal(err)
	}
	defer src.Close()
	opened, err := base.OpenModel(src, zerolog.Nop(), 1, base.Outputs(models.OpenSequenceClassifier, 2))
	if err != nil {
		b.Fatal(err)
	}
	m := opened.Net
	temp := b.TempDir()
	dirs := make([]string, files)
	for i := range dirs {
		c := lora.Config{R: 8, Alpha: 16, TargetModules: lora.Names("query", "value"), TaskType: lora.SeqCls,
			ModulesToSave: []string{"pooler"}}
		set, err := lora.Attach(m, c, uint64(i))
		if err != nil {
			b.Fatal(err)
		}
		set.SetFingerprint(opened.Fingerprint(nil))
		dirs[i] = filepath.Join(temp, strconv.Itoa(i))
		if err := os.Mkdir(dirs[i], 0o755); err != nil {
			b.Fatal(err)
		}
		if err := set.Save(dirs[i]); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("Load", func(b *testing.B) {
		for b.Loop() {
			sets := make([]*lora.Set, n)
			for i := range sets {
				if sets[i], _, err = lora.Load(dirs[i%files], m); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(resident(b), "MiB")
			runtime.KeepAlive(sets)
		}
		b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N)/n, "ms/adapter")
	})
	b.Run("Door", func(b *testing.B) {
		for b.Loop() {
			m, err := spalora.Open("", spalora.WithOpenedBase(src), spalora.WithTask("seq-cls"), spalora.WithoutHead())
			if err != nil {
				b.Fatal(err)
			}
			for i := range n {
				if err := m.Load(strconv.Itoa(i), dirs[i%files]); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(resident(b), "MiB")
			if err := m.Close(); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N)/n, "ms/adapter")
	})
}

// resident returns the memory of the process in MiB: what is resident, where Linux says so, else what Go has obtained.
func resident(b *testing.B) float64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		return float64(s.Sys) / (1 << 20)
	}
	kib, err := strconv.Atoi(string(regexp.MustCompile(`VmRSS:\s*(\d+)`).FindSubmatch(text)[1]))
	if err != nil {
		b.Fatal(err)
	}
	return float64(kib) / (1 << 10)
}
