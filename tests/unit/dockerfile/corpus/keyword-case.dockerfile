from registry.example/base as Mixed
rUn a
Label a=b
onBUILD run b
