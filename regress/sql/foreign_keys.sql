-- Foreign keys among distributed and reference tables.
\set SHOW_CONTEXT never
CREATE SCHEMA keys;
SET search_path = keys;
CREATE TABLE companies (id int PRIMARY KEY, name text);
CREATE TABLE kinds (id int PRIMARY KEY);
CREATE TABLE campaigns (id int, company int REFERENCES companies (id) ON DELETE CASCADE, kind int REFERENCES kinds (id), PRIMARY KEY (company, id));
INSERT INTO companies SELECT i, 'c' || i FROM generate_series(1, 10) i;
INSERT INTO kinds VALUES (1), (2);
INSERT INTO campaigns SELECT i, i % 10 + 1, i % 2 + 1 FROM generate_series(1, 40) i;
SELECT create_distributed_table('companies', 'id');
SELECT create_reference_table('kinds');
SELECT create_distributed_table('campaigns', 'company');
SELECT count(*) FROM campaigns;
INSERT INTO campaigns VALUES (100, 99, 1);
INSERT INTO campaigns VALUES (100, 1, 9);
DELETE FROM companies WHERE id = 1;
SELECT count(*) FROM campaigns;
-- added later, with and without a name
CREATE TABLE ads (id int, company int, campaign int, parent int, PRIMARY KEY (company, id));
SELECT create_distributed_table('ads', 'company', colocate_with => 'campaigns');
ALTER TABLE ads ADD FOREIGN KEY (company, campaign) REFERENCES campaigns (company, id);
ALTER TABLE ads ADD CONSTRAINT "own key" FOREIGN KEY (company, parent) REFERENCES ads (company, id) NOT VALID;
INSERT INTO ads VALUES (1, 2, 11, NULL);
INSERT INTO ads VALUES (2, 2, 99, NULL);
INSERT INTO ads VALUES (2, 2, 11, 99);
ALTER TABLE ads VALIDATE CONSTRAINT "own key";
ALTER TABLE ads DROP CONSTRAINT "own key";
-- not possible
ALTER TABLE ads ADD FOREIGN KEY (campaign) REFERENCES companies (id);
CREATE TABLE plain (id int PRIMARY KEY);
ALTER TABLE ads ADD FOREIGN KEY (parent) REFERENCES plain (id);
ALTER TABLE plain ADD FOREIGN KEY (id) REFERENCES companies (id);
ALTER TABLE kinds ADD FOREIGN KEY (id) REFERENCES companies (id);
ALTER TABLE ads ADD FOREIGN KEY (company) REFERENCES companies (id) ON DELETE SET NULL;
SELECT update_distributed_table_colocation('ads', 'none');
SELECT conname, contype FROM pg_constraint WHERE conrelid = 'ads'::regclass ORDER BY 1;
DROP TABLE companies;
TRUNCATE companies;
TRUNCATE companies CASCADE;
SELECT count(*) FROM campaigns;
DROP TABLE companies CASCADE;
SELECT conname FROM pg_constraint WHERE conrelid = 'campaigns'::regclass ORDER BY 1;
INSERT INTO campaigns VALUES (100, 99, 1);
SET client_min_messages = warning;
DROP SCHEMA keys CASCADE;
SELECT DISTINCT result FROM run_command_on_workers($$SELECT count(*) FROM pg_namespace WHERE nspname = 'keys'$$);
