package chart

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"sigs.k8s.io/yaml"
)

// What decodes objects of Kubernetes itself, and refuses fields that their types do not have.
func newDecoder(t *testing.T) runtime.Decoder {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		appsv1.AddToScheme, autoscalingv2.AddToScheme, batchv1.AddToScheme,
		corev1.AddToScheme, networkingv1.AddToScheme, policyv1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	return serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
}

// Definitions of custom resources: the module that has them, which is fetched but not compiled, and the file in it.
var definitions = map[string]struct{ module, file string }{
	"ScaledObject": {
		"github.com/kedacore/keda/v2@v2.21.0", "config/crd/bases/keda.sh_scaledobjects.yaml",
	},
	"ServiceMonitor": {
		"github.com/prometheus-operator/prometheus-operator@v0.85.0",
		"example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml",
	},
	"PrometheusRule": {
		"github.com/prometheus-operator/prometheus-operator@v0.85.0",
		"example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml",
	},
}

func schemaOf(t *testing.T, kind, apiVersion string) *jsonschema.Schema {
	t.Helper()
	source, known := definitions[kind]
	if !known {
		t.Fatalf("no schema of %s", kind)
	}
	answer, err := exec.Command("go", "mod", "download", "-json", source.module).Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", source.module, err, answer)
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(answer, &module); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(module.Dir, source.file))
	if err != nil {
		t.Fatal(err)
	}
	var definition struct {
		Spec struct {
			Group    string
			Versions []struct {
				Name   string
				Schema struct{ OpenAPIV3Schema map[string]any }
			}
		}
	}
	if err := yaml.Unmarshal(text, &definition); err != nil {
		t.Fatal(err)
	}
	for _, version := range definition.Spec.Versions {
		if definition.Spec.Group+"/"+version.Name != apiVersion {
			continue
		}
		refuseUnknown(version.Schema.OpenAPIV3Schema)
		compiler := jsonschema.NewCompiler()
		compiler.DefaultDraft(jsonschema.Draft4)
		if err := compiler.AddResource(kind, version.Schema.OpenAPIV3Schema); err != nil {
			t.Fatal(err)
		}
		schema, err := compiler.Compile(kind)
		if err != nil {
			t.Fatal(err)
		}
		return schema
	}
	t.Fatalf("%s has no version %s", kind, apiVersion)
	return nil
}

// refuseUnknown makes a schema refuse properties that it does not name, which Kubernetes would drop.
func refuseUnknown(schema map[string]any) {
	if properties, has := schema["properties"].(map[string]any); has {
		if _, open := schema["x-kubernetes-preserve-unknown-fields"]; !open {
			schema["additionalProperties"] = false
		}
		for _, property := range properties {
			refuseUnknown(property.(map[string]any))
		}
	}
	for _, name := range []string{"items", "additionalProperties"} {
		if inner, has := schema[name].(map[string]any); has {
			refuseUnknown(inner)
		}
	}
}
