-- The demo's questions. Any node answers them, and the plain tables give the same answers:
--   SET search_path = demo;    or    SET search_path = plain;

-- What does PostgreSQL need? One package, so one node answers (router).
SELECT kind, position, depends_on, version
FROM dependencies
WHERE package = 'postgresql-15' AND kind IN ('pre-depends', 'depends')
ORDER BY kind, position, alternative;

-- Which packages do most others depend on? Every shard counts, the counts are added up.
SELECT depends_on, count(*) AS dependents
FROM dependencies
WHERE kind = 'depends'
GROUP BY depends_on
ORDER BY dependents DESC, depends_on
LIMIT 10;

-- How big is each section? A join with a reference table, on every node.
SELECT s.name AS section, count(*) AS packages, (sum(p.installed_kb) / 1024)::bigint AS installed_mb,
	round(avg(p.download_bytes) / 1024) AS average_download_kb
FROM packages p JOIN sections s USING (section_id)
GROUP BY s.name
ORDER BY installed_mb DESC NULLS LAST, section
LIMIT 10;

-- Who maintains the packages with the most dependencies? Packages and dependencies are colocated.
SELECT m.name AS maintainer, count(DISTINCT p.name) AS packages, count(*) AS dependencies
FROM packages p
	JOIN dependencies d ON d.package = p.name
	JOIN maintainers m USING (maintainer_id)
WHERE d.kind = 'depends'
GROUP BY m.maintainer_id, m.name
ORDER BY dependencies DESC, maintainer
LIMIT 5;

-- Reverse dependencies of libpq5, two hops deep: the second join is not on the distribution
-- column, so rows have to meet on another node than where they are stored.
SELECT second.depends_on AS through, count(DISTINCT second.package) AS reached
FROM dependencies first JOIN dependencies second ON second.depends_on = first.package
WHERE first.depends_on = 'libpq5' AND first.kind = 'depends' AND second.kind = 'depends'
GROUP BY second.depends_on
ORDER BY reached DESC, through
LIMIT 10;
