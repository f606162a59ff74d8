FROM registry.example/base
ENV A=$ B=$$ C=a$ D="$" E=$1 F=$12 G=${1}
