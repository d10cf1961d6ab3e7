package main

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/clitest"
)

var update = flag.Bool("update", false, "write the tables of flags in docs/commands.md anew")

// TestDocs holds the tables of flags in docs/commands.md to the flags that there are.
func TestDocs(t *testing.T) {
	const page = "../../docs/commands.md"
	text := clitest.Read(t, page)
	seen := map[string]bool{}
	tables := regexp.MustCompile(`(?s)<!-- flags: ([a-z0-9 -]+) -->\n.*?<!-- end -->\n`)
	want := tables.ReplaceAllStringFunc(text, func(old string) string {
		name := tables.FindStringSubmatch(old)[1]
		seen[name] = true
		root := command(clitest.Env(nil, new(clitest.Buffer), new(clitest.Buffer)))
		cmd, _, err := root.Find(strings.Fields(name))
		if err != nil || cmd.HasSubCommands() {
			t.Fatalf("there is no command %q", name)
		}
		return fmt.Sprintf("<!-- flags: %s -->\n%s<!-- end -->\n", name, table(cmd))
	})
	for _, c := range leaves(command(clitest.Env(nil, new(clitest.Buffer), new(clitest.Buffer)))) {
		if name := strings.TrimPrefix(c.CommandPath(), "spalora "); !seen[name] {
			t.Errorf("docs/commands.md does not describe %q", name)
		}
	}
	switch {
	case want == text:
	case *update:
		if err := os.WriteFile(page, []byte(want), 0o666); err != nil {
			t.Fatal(err)
		}
	default:
		t.Error("the flags in docs/commands.md are not those of the commands; go test ./cmd/spalora -run TestDocs " +
			"-update writes them anew")
	}
}

func leaves(cmd *cobra.Command) []*cobra.Command {
	if !cmd.HasSubCommands() {
		return []*cobra.Command{cmd}
	}
	var list []*cobra.Command
	for _, c := range cmd.Commands() {
		list = append(list, leaves(c)...)
	}
	return list
}

// table describes the flags of a command.
func table(cmd *cobra.Command) string {
	cmd.InitDefaultHelpFlag()
	var b strings.Builder
	for _, s := range cli.Sections(cmd) {
		fmt.Fprintf(&b, "\n| %s | default | |\n|---|---|---|\n", s.Title)
		for _, f := range s.Flags {
			kind, text := pflag.UnquoteUsage(f)
			name := "--" + f.Name
			if kind != "" {
				name += " " + strings.ToUpper(kind)
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", name, standard(f), strings.NewReplacer("|", `\|`, "<", "&lt;").Replace(text))
		}
	}
	return b.String() + "\n"
}

// standard returns a flag's default, as far as it says anything.
func standard(f *pflag.Flag) string {
	switch f.DefValue {
	case "", "[]", "false":
		return ""
	case "0":
		if strings.Contains(f.Usage, "default:") {
			return ""
		}
	}
	return "`" + f.DefValue + "`"
}
