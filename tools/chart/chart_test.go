// The chart in deploy/helm is valid: Helm lints and renders it, and every object is checked against the types of Kubernetes or
// the definition of its custom resource, and refers only to what is there.
package chart

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

const (
	helm  = "../../build/tools/helm"
	chart = "../../deploy/helm/driftlock"
)

// One object of the release: as its Go type, if it is Kubernetes' own, and as it would be sent.
type object struct {
	typed any
	sent  map[string]any
}

// Objects by their kind and name, such as Service/driftlock.
type release map[string]object

func run(t *testing.T, command string, files []string, options ...string) (string, error) {
	t.Helper()
	arguments := append([]string{command}, options...)
	for _, file := range files {
		arguments = append(arguments, "--values", "testdata/"+file+".yaml")
	}
	process := exec.Command(helm, arguments...)
	var errors bytes.Buffer
	process.Stderr = &errors
	output, err := process.Output()
	if err != nil {
		return string(output) + errors.String(), err
	}
	return string(output), nil
}

func render(t *testing.T, files ...string) release {
	t.Helper()
	if output, err := run(t, "lint", files, "--strict", chart); err != nil {
		t.Fatalf("helm lint: %v\n%s", err, output)
	}
	output, err := run(t, "template", files, "driftlock", chart, "--namespace", "observability")
	if err != nil {
		t.Fatalf("helm template: %v\n%s", err, output)
	}
	decoder := newDecoder(t)
	objects := release{}
	documents := utilyaml.NewYAMLReader(bufio.NewReader(strings.NewReader(output)))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return objects
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := yaml.YAMLToJSONStrict(document)
		if err != nil {
			t.Fatalf("%v\n%s", err, document)
		}
		if string(text) == "null" {
			continue
		}
		var meta metav1.PartialObjectMetadata
		var sent map[string]any
		if err := errors.Join(json.Unmarshal(text, &meta), json.Unmarshal(text, &sent)); err != nil {
			t.Fatal(err)
		}
		key := meta.Kind + "/" + meta.Name
		if _, twice := objects[key]; twice {
			t.Errorf("%s occurs twice", key)
		}
		one := object{sent: sent}
		if _, custom := definitions[meta.Kind]; custom {
			instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			if err := schemaOf(t, meta.Kind, meta.APIVersion).Validate(instance); err != nil {
				t.Errorf("%s: %v", key, err)
			}
		} else if one.typed, _, err = decoder.Decode(text, nil, nil); err != nil {
			t.Errorf("%s: %v", key, err)
		}
		objects[key] = one
	}
}

func (objects release) pods() map[string]corev1.PodTemplateSpec {
	pods := map[string]corev1.PodTemplateSpec{}
	for key, object := range objects {
		switch typed := object.typed.(type) {
		case *appsv1.StatefulSet:
			pods[key] = typed.Spec.Template
		case *appsv1.Deployment:
			pods[key] = typed.Spec.Template
		case *batchv1.Job:
			pods[key] = typed.Spec.Template
		}
	}
	return pods
}

// selected returns the workloads whose pods have the labels.
func (objects release) selected(selector map[string]string) []string {
	var keys []string
	for key, pod := range objects.pods() {
		if labels.SelectorFromSet(selector).Matches(labels.Set(pod.Labels)) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// checkReferences checks that objects refer to others that are there, which the types do not say.
func checkReferences(t *testing.T, objects release) {
	t.Helper()
	pods := objects.pods()
	exists := func(from, key string) {
		if _, has := objects[key]; !has {
			t.Errorf("%s refers to %s, which is not there", from, key)
		}
	}
	only := func(from string, selector map[string]string, want string) {
		if got := objects.selected(selector); !slices.Equal(got, []string{want}) {
			t.Errorf("%s selects the pods of %v instead of %s", from, got, want)
		}
	}
	for key, pod := range pods {
		checkPod(t, key, pod)
		if account := pod.Spec.ServiceAccountName; account != "" {
			exists(key, "ServiceAccount/"+account)
		}
		for _, volume := range pod.Spec.Volumes {
			if volume.ConfigMap != nil {
				exists(key, "ConfigMap/"+volume.ConfigMap.Name)
			}
			if volume.PersistentVolumeClaim != nil {
				exists(key, "PersistentVolumeClaim/"+volume.PersistentVolumeClaim.ClaimName)
			}
		}
	}
	for key, object := range objects {
		switch typed := object.typed.(type) {
		case *appsv1.StatefulSet:
			only(key, typed.Spec.Selector.MatchLabels, key)
		case *appsv1.Deployment:
			only(key, typed.Spec.Selector.MatchLabels, key)
		case *policyv1.PodDisruptionBudget:
			only(key, typed.Spec.Selector.MatchLabels, "Deployment/"+typed.Name)
		case *autoscalingv2.HorizontalPodAutoscaler:
			exists(key, typed.Spec.ScaleTargetRef.Kind+"/"+typed.Spec.ScaleTargetRef.Name)
		case *corev1.Service:
			for _, workload := range objects.selected(typed.Spec.Selector) {
				for _, port := range typed.Spec.Ports {
					if !slices.Contains(portNames(pods[workload]), port.TargetPort.StrVal) {
						t.Errorf("%s has no port %s for %s", workload, port.TargetPort.StrVal, key)
					}
				}
			}
		case *networkingv1.Ingress:
			for _, rule := range typed.Spec.Rules {
				exists(key, "Service/"+rule.HTTP.Paths[0].Backend.Service.Name)
			}
		}
	}
}

func portNames(pod corev1.PodTemplateSpec) []string {
	var names []string
	for _, port := range pod.Spec.Containers[0].Ports {
		names = append(names, port.Name)
	}
	return names
}

// checkPod checks that a pod mounts what it has, and that it may do nothing that it does not need.
func checkPod(t *testing.T, key string, pod corev1.PodTemplateSpec) {
	t.Helper()
	container := pod.Spec.Containers[0]
	for _, mount := range container.VolumeMounts {
		has := slices.ContainsFunc(pod.Spec.Volumes, func(volume corev1.Volume) bool { return volume.Name == mount.Name })
		if !has {
			t.Errorf("%s mounts %s, which it does not have", key, mount.Name)
		}
	}
	if !*pod.Spec.SecurityContext.RunAsNonRoot || !*container.SecurityContext.ReadOnlyRootFilesystem ||
		*container.SecurityContext.AllowPrivilegeEscalation || *pod.Spec.AutomountServiceAccountToken {
		t.Errorf("%s may do more than it needs", key)
	}
	if container.Resources.Limits.Memory().IsZero() {
		t.Errorf("%s has no limit of memory", key)
	}
	if strings.HasPrefix(key, "Job/") {
		return
	}
	for _, probe := range []*corev1.Probe{container.StartupProbe, container.LivenessProbe, container.ReadinessProbe} {
		if probe == nil || probe.HTTPGet == nil || !slices.Contains(portNames(pod), probe.HTTPGet.Port.StrVal) {
			t.Errorf("%s lacks a probe, or the port of it", key)
		}
	}
}

func check(t *testing.T, objects release, expected ...[]string) {
	t.Helper()
	want := slices.Concat(expected...)
	var got []string
	for key := range objects {
		got = append(got, key)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the release has\n%s\ninstead of\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	checkReferences(t, objects)
}

var (
	always    = []string{"ConfigMap/driftlock", "Service/driftlock", "ServiceAccount/driftlock"}
	withKafka = []string{
		"Deployment/driftlock-router", "PodDisruptionBudget/driftlock-router",
		"Deployment/driftlock-worker", "PodDisruptionBudget/driftlock-worker",
		"Deployment/driftlock-forward", "PodDisruptionBudget/driftlock-forward",
		"Deployment/driftlock-sink", "PodDisruptionBudget/driftlock-sink",
		"Deployment/driftlock-api", "PodDisruptionBudget/driftlock-api", "Service/driftlock-api",
	}
	initialised = []string{"ConfigMap/driftlock-kafka-init", "Job/driftlock-kafka-init"}
)

func TestOneProcess(t *testing.T) {
	check(t, render(t, "least"), always, []string{"StatefulSet/driftlock", "PersistentVolumeClaim/driftlock"})
}

func TestEverything(t *testing.T) {
	objects := render(t, "everything")
	check(t, objects, []string{
		"ConfigMap/driftlock-sidecar", "Service/driftlock-sidecar", "ServiceAccount/driftlock-sidecar",
		"StatefulSet/driftlock-sidecar", "PersistentVolumeClaim/driftlock-sidecar", "Ingress/driftlock-sidecar",
		"NetworkPolicy/driftlock-sidecar", "Service/driftlock-sidecar-metrics", "ServiceMonitor/driftlock-sidecar", "PrometheusRule/driftlock-sidecar",
	})
	text, err := os.ReadFile("../../deploy/observability/driftlock.rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var rules map[string]any
	if err := yaml.Unmarshal(text, &rules); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(objects["PrometheusRule/driftlock-sidecar"].sent["spec"], any(rules)) {
		t.Error("the chart has other rules than deploy/observability/driftlock.rules.yaml")
	}
}

func TestKafka(t *testing.T) {
	objects := render(t, "kafka")
	check(t, objects, always, withKafka, initialised)
	for name, role := range map[string]string{"driftlock": "router", "driftlock-api": "api"} {
		service := objects["Service/"+name].typed.(*corev1.Service)
		if got := objects.selected(service.Spec.Selector); !slices.Equal(got, []string{"Deployment/driftlock-" + role}) {
			t.Errorf("clients of %s reach %v", name, got)
		}
	}
	for _, role := range []string{"router", "worker", "forward", "sink", "api"} {
		deployment := objects["Deployment/driftlock-"+role].typed.(*appsv1.Deployment)
		if got := deployment.Spec.Template.Spec.Containers[0].Args; !slices.Equal(got[:3], []string{"run", "--roles", role}) {
			t.Errorf("%s is started by %v", role, got)
		}
		unavailable := deployment.Spec.Strategy.RollingUpdate.MaxUnavailable.IntValue()
		if (role == "router" || role == "api") != (unavailable == 0) {
			t.Errorf("%d pods of %s may be unavailable during an update", unavailable, role)
		}
	}
}

func TestAutoscalingByCPU(t *testing.T) {
	objects := render(t, "kafka", "kafka-hpa")
	check(t, objects, always, withKafka, []string{
		"HorizontalPodAutoscaler/driftlock-router", "HorizontalPodAutoscaler/driftlock-worker",
		"HorizontalPodAutoscaler/driftlock-forward", "NetworkPolicy/driftlock",
	})
	for role, most := range map[string]int32{"router": 10, "worker": 64, "forward": 4} {
		scaler := objects["HorizontalPodAutoscaler/driftlock-"+role].typed.(*autoscalingv2.HorizontalPodAutoscaler)
		if got := scaler.Spec.MaxReplicas; got != most {
			t.Errorf("%s grows to %d pods instead of %d", role, got, most)
		}
		if objects["Deployment/driftlock-"+role].typed.(*appsv1.Deployment).Spec.Replicas != nil {
			t.Errorf("an upgrade resets the number of pods of %s", role)
		}
	}
	if got := *objects["Deployment/driftlock-sink"].typed.(*appsv1.Deployment).Spec.Replicas; got != 3 {
		t.Errorf("%d pods of sink", got)
	}
}

func TestAutoscalingByLag(t *testing.T) {
	objects := render(t, "kafka", "kafka-keda")
	check(t, objects, always, withKafka, initialised, []string{
		"HorizontalPodAutoscaler/driftlock-router", "ScaledObject/driftlock-worker", "ScaledObject/driftlock-forward",
		"ScaledObject/driftlock-sink", "Ingress/driftlock", "Service/driftlock-metrics", "ServiceMonitor/driftlock",
	})
	metrics := objects["Service/driftlock-metrics"].typed.(*corev1.Service)
	if got := objects.selected(metrics.Spec.Selector); len(got) != 5 {
		t.Errorf("Prometheus reads the metrics of %v", got)
	}
	trigger := func(topic, group, lag string) any {
		return map[string]any{
			"type": "kafka",
			"metadata": map[string]any{
				"bootstrapServers": "kafka-0.kafka:9092,kafka-1.kafka:9092", "topic": "shop." + topic,
				"consumerGroup": "shop." + group, "lagThreshold": lag, "offsetResetPolicy": "earliest",
			},
			"authenticationRef": map[string]any{"name": "kafka"},
		}
	}
	for role, want := range map[string]map[string]any{
		"worker":  {"minReplicaCount": 3.0, "maxReplicaCount": 12.0, "triggers": []any{trigger("in", "worker", "1000")}},
		"forward": {"minReplicaCount": 2.0, "maxReplicaCount": 12.0, "triggers": []any{trigger("out", "forward", "1000")}},
		"sink": {"minReplicaCount": 2.0, "maxReplicaCount": 4.0, "triggers": []any{
			trigger("anomalies", "sink-anomalies", "50"), trigger("statistics", "sink-statistics", "50"),
		}},
	} {
		want["scaleTargetRef"] = map[string]any{"name": "driftlock-" + role}
		if got := objects["ScaledObject/driftlock-"+role].sent["spec"]; !reflect.DeepEqual(got, any(want)) {
			t.Errorf("%s scales by\n%v instead of\n%v", role, got, want)
		}
	}
}

func TestRefusals(t *testing.T) {
	for setting, reason := range map[string]string{
		"config.forward.endpoint=":                "config.forward.endpoint is empty",
		"roles.worker.replica=2":                  "replica",
		"roles.router.autoscaling.lag=1":          "lag",
		"kafkaInit.resources=none":                "kafkaInit",
		"networkPolicy.from=10.0.0.0/8":           "networkPolicy",
		"keda.enabled=perhaps":                    "keda",
		"prometheusRule.interval=1m":              "interval",
		"roles.forward.autoscaling.minReplicas=0": "minReplicas",
	} {
		if output, err := run(t, "template", []string{"kafka"}, "driftlock", chart, "--set", setting); err == nil {
			t.Errorf("%s is accepted", setting)
		} else if !strings.Contains(output, reason) {
			t.Errorf("%s is refused without %q: %s", setting, reason, output)
		}
	}
}
