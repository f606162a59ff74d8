FROM x AS a
FROM y AS a
