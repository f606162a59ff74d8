package podrun

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Expand replaces $(NAME) as a kubelet does in command, args and env: a known name by its value, an unknown one not at
// all, and $$ by $, so that $$(NAME) stays $(NAME). What was put in is not looked at again.
func Expand(text string, known map[string]string) string {
	var out strings.Builder
	for at := 0; at < len(text); at++ {
		if text[at] != '$' || at+1 == len(text) {
			out.WriteByte(text[at])
			continue
		}
		switch text[at+1] {
		case '$':
			out.WriteByte('$')
			at++
		case '(':
			end := strings.IndexByte(text[at+2:], ')')
			if end < 0 {
				out.WriteString("$(")
				at++
				continue
			}
			name := text[at+2 : at+2+end]
			if value, ok := known[name]; ok {
				out.WriteString(value)
			} else {
				out.WriteString("$(" + name + ")")
			}
			at += 2 + end
		default:
			out.WriteByte('$')
		}
	}
	return out.String()
}

// Every container gets these from a kubelet (enableServiceLinks), and so its arguments can name them.
var serviceVariables = map[string]string{
	"KUBERNETES_SERVICE_HOST": "10.96.0.1",
	"KUBERNETES_SERVICE_PORT": "443",
	"KUBERNETES_PORT":         "tcp://10.96.0.1:443",
}

// environment is a container's variables in order, and the same as a map.
func environment(pod *corev1.Pod, container *corev1.Container, objects Objects) ([]string, map[string]string, error) {
	known := map[string]string{}
	var list []string
	put := func(name, value string) {
		known[name] = value
		list = append(list, name+"="+value)
	}
	for name, value := range serviceVariables {
		put(name, value)
	}
	for _, source := range container.EnvFrom {
		switch {
		case source.SecretRef != nil:
			data, err := objects.Secret(pod.Namespace, source.SecretRef.Name)
			if err != nil {
				return nil, nil, err
			}
			for name, value := range data {
				put(source.Prefix+name, string(value))
			}
		case source.ConfigMapRef != nil:
			data, err := objects.ConfigMap(pod.Namespace, source.ConfigMapRef.Name)
			if err != nil {
				return nil, nil, err
			}
			for name, value := range data {
				put(source.Prefix+name, value)
			}
		}
	}
	for _, variable := range container.Env {
		value := Expand(variable.Value, known)
		if from := variable.ValueFrom; from != nil {
			switch {
			case from.SecretKeyRef != nil:
				data, err := objects.Secret(pod.Namespace, from.SecretKeyRef.Name)
				if err != nil {
					return nil, nil, err
				}
				value = string(data[from.SecretKeyRef.Key])
			case from.ConfigMapKeyRef != nil:
				data, err := objects.ConfigMap(pod.Namespace, from.ConfigMapKeyRef.Name)
				if err != nil {
					return nil, nil, err
				}
				value = data[from.ConfigMapKeyRef.Key]
			case from.FieldRef != nil:
				var err error
				if value, err = field(pod, from.FieldRef.FieldPath); err != nil {
					return nil, nil, err
				}
			default:
				return nil, nil, fmt.Errorf("variable %s: source not done", variable.Name)
			}
		}
		put(variable.Name, value)
	}
	return list, known, nil
}

func field(pod *corev1.Pod, path string) (string, error) {
	for prefix, of := range map[string]map[string]string{"metadata.annotations['": pod.Annotations, "metadata.labels['": pod.Labels} {
		if key, ok := strings.CutPrefix(path, prefix); ok {
			return of[strings.TrimSuffix(key, "']")], nil
		}
	}
	switch path {
	case "metadata.name":
		return pod.Name, nil
	case "metadata.namespace":
		return pod.Namespace, nil
	case "metadata.uid":
		return string(pod.UID), nil
	case "spec.nodeName":
		return pod.Spec.NodeName, nil
	case "spec.serviceAccountName":
		return pod.Spec.ServiceAccountName, nil
	}
	return "", fmt.Errorf("field %s not done", path)
}

func expandAll(words []string, known map[string]string) []string {
	var out []string
	for _, word := range words {
		out = append(out, Expand(word, known))
	}
	return out
}
