FROM registry.example/base
ENV A=$@ B=$* C=$# D=$? E=$- F=$!
