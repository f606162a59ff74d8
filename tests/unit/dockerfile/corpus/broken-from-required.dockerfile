ARG V
FROM x:${V:?must-be-given}
