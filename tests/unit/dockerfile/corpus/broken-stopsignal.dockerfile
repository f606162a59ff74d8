FROM registry.example/base
STOPSIGNAL SIGNOPE
