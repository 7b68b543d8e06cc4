-- The demo's tables, in the schema that search_path names: first in "plain" as ordinary tables, then in
-- "demo", where demo/distribute.sql spreads them.
CREATE TABLE sections (
	section_id int PRIMARY KEY,
	name text NOT NULL,
	component text NOT NULL,
	UNIQUE (component, name)
);

CREATE TABLE maintainers (
	maintainer_id int PRIMARY KEY,
	name text NOT NULL,
	email text
);

CREATE TABLE packages (
	name text PRIMARY KEY,
	version text NOT NULL,
	architecture text NOT NULL,
	section_id int NOT NULL REFERENCES sections,
	maintainer_id int NOT NULL REFERENCES maintainers,
	priority text,
	installed_kb bigint,
	download_bytes bigint,
	homepage text,
	summary text
);

-- One alternative of one requirement: "a | b, c" is position 1 with two alternatives, and position 2.
CREATE TABLE dependencies (
	package text NOT NULL REFERENCES packages,
	kind text NOT NULL CHECK (kind IN ('pre-depends', 'depends', 'recommends', 'suggests')),
	position int NOT NULL,
	alternative int NOT NULL,
	depends_on text NOT NULL,
	version text,
	PRIMARY KEY (package, kind, position, alternative)
);
