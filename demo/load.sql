-- Loads what demo/catalogue wrote into the current folder.
\copy sections FROM 'sections.tsv'
\copy maintainers FROM 'maintainers.tsv'
\copy packages FROM 'packages.tsv'
\copy dependencies FROM 'dependencies.tsv'
CREATE INDEX dependencies_depends_on ON dependencies (depends_on);
ANALYZE sections, maintainers, packages, dependencies;
