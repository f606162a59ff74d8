FROM registry.example/base
ENV GRÜN=ü B="日本" C=$GRÜN
