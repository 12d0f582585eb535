42601 1 syntax error at or near "selec"
selec 1
42601 9 syntax error at end of input
SELECT (
42601 14 syntax error at end of input
SELECT * FROM 
42601 8 syntax error at or near ")"
SELECT )
42601 12 syntax error at or near "é"
SELECT 1 ; é x
42601 14 syntax error at or near "table"
CREATE TABLE table (a int)
42601 13 syntax error at or near "select"
CREATE VIEW select AS SELECT 1
42601 8 unterminated quoted string at or near "'abc"
SELECT 'abc
42601 19 CREATE CLUSTER option SPEED is not known
CREATE CLUSTER c (SPEED = 'x')
42601 31 MYSQL CONNECTION option SSL is not known
CREATE CONNECTION c TO MYSQL (SSL)
0A000 1 MERGE is not supported
MERGE INTO t USING u ON true WHEN MATCHED THEN DELETE
42P02 8 there is no parameter $0
SELECT $0
42601 8 syntax error at or near "garbage"
COMMIT garbage x
42601 21 syntax error at or near "bar"
SELECT 1 FROM foo f bar
