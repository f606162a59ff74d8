FROM registry.example/base
apt-get install x
