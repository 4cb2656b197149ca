// The Compose files of deploy/ are valid: the reference implementation of the Compose specification checks them against its
// schema, merges and interpolates them.
package compose

import (
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
)

func load(t *testing.T, env types.Mapping, files ...string) (*types.Project, error) {
	t.Helper()
	folder, err := filepath.Abs("../../deploy")
	if err != nil {
		t.Fatal(err)
	}
	details := types.ConfigDetails{WorkingDir: folder, Environment: env}
	for _, file := range files {
		details.ConfigFiles = append(details.ConfigFiles, types.ConfigFile{Filename: filepath.Join(folder, file)})
	}
	return loader.LoadWithContext(t.Context(), details)
}

func check(t *testing.T, project *types.Project, services ...string) {
	t.Helper()
	for _, name := range services {
		service, err := project.GetService(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, config := range service.Configs {
			if _, err := os.Stat(project.Configs[config.Source].File); err != nil {
				t.Errorf("%s: config %s: %v", name, config.Source, err)
			}
		}
		for _, port := range service.Ports {
			if ip := net.ParseIP(port.HostIP); ip == nil || !ip.IsLoopback() {
				t.Errorf("%s publishes port %s on other addresses than loopback", name, port.Published)
			}
		}
	}
	if got := len(project.Services); got != len(services) {
		t.Errorf("%d services instead of %d", got, len(services))
	}
}

func TestCompose(t *testing.T) {
	project, err := load(t, nil, "docker-compose.yml")
	if err != nil {
		t.Fatal(err)
	}
	check(t, project, "edge", "driftlock", "backend")
}

func TestObservability(t *testing.T) {
	files := []string{"docker-compose.yml", "docker-compose.observability.yml"}
	project, err := load(t, types.Mapping{"GRAFANA_ADMIN_PASSWORD": "x"}, files...)
	if err != nil {
		t.Fatal(err)
	}
	check(t, project, "edge", "driftlock", "backend", "prometheus", "alertmanager", "grafana")
	if file := project.Configs["driftlock"].File; !strings.HasSuffix(file, "deploy/observability/driftlock.yaml") {
		t.Errorf("Driftlock has the configuration %s", file)
	}
	if _, err := load(t, nil, files...); err == nil || !strings.Contains(err.Error(), "GRAFANA_ADMIN_PASSWORD") {
		t.Errorf("without a password of Grafana: %v", err)
	}
}

func TestKafka(t *testing.T) {
	const file = "docker-compose.kafka.yml"
	given := types.Mapping{"POSTGRES_PASSWORD": "x", "DRIFTLOCK_HASH_KEY_FILE": "hash.key"}
	project, err := load(t, maps.Clone(given), file)
	if err != nil {
		t.Fatal(err)
	}
	check(t, project, "edge", "init", "router", "worker", "forward", "sink", "api", "kafka", "postgres", "backend")
	if replicas := project.Services["worker"].Deploy.Replicas; replicas == nil || *replicas != 2 {
		t.Error("there are not two workers")
	}
	for _, role := range []string{"router", "worker", "forward", "sink", "api"} {
		if got := project.Services[role].Command[:3]; !slices.Equal(got, []string{"run", "--roles", role}) {
			t.Errorf("%s is started by %v", role, got)
		}
	}
	for name := range given {
		others := maps.Clone(given)
		delete(others, name)
		if _, err := load(t, others, file); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: %v", name, err)
		}
	}
}
