FROM --platform=linux/a/b/c/d registry.example/base
