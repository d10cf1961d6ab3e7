package bench

import (
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"testing"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/embedded"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
)

// BenchmarkAdapters opens 1,000 adapters (r = 8 on query and value, with pooler and classifier) on one MiniLM and
// reports the milliseconds for each, and the memory of the process that holds them all.
func BenchmarkAdapters(b *testing.B) {
	const n, files = 1000, 8
	src, err := base.FromFiles(embedded.MiniLMName, embedded.MiniLM())
	if err != nil {
		b.Fatal(err)
	}
	defer src.Close()
	m, _, err := models.OpenSequenceClassifier(src.Source, 2, 1)
	if err != nil {
		b.Fatal(err)
	}
	temp := b.TempDir()
	dirs := make([]string, files)
	for i := range dirs {
		c := lora.Config{R: 8, Alpha: 16, TargetModules: lora.Names("query", "value"), TaskType: lora.SeqCls,
			ModulesToSave: []string{"pooler"}}
		set, err := lora.Attach(m, c, uint64(i))
		if err != nil {
			b.Fatal(err)
		}
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
