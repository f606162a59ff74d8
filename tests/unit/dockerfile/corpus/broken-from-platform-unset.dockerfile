FROM --platform=$NOPE registry.example/base
