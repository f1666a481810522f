-- The planner keeps statistics of columns, and chooses by them how to group and sort, for readers who see a mask too: how long a
-- statement takes, and in which order rows come, would tell whether the values behind the mask are many or few. So none are kept
-- of columns that are masked. What finance asks about them is planned with the defaults.

ALTER TABLE cm.payee
  ALTER COLUMN email SET STATISTICS 0,
  ALTER COLUMN bank_account SET STATISTICS 0,
  ALTER COLUMN salary SET STATISTICS 0,
  ALTER COLUMN tax_id SET STATISTICS 0;

-- Those that were kept before would stay.
RESET ROLE;
DELETE FROM pg_statistic s USING pg_attribute a
WHERE s.starelid = 'cm.payee'::regclass AND a.attrelid = s.starelid AND a.attnum = s.staattnum
  AND a.attname IN ('email', 'bank_account', 'salary', 'tax_id');
SET LOCAL ROLE cm_owner;
