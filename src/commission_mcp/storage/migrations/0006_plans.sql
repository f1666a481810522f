-- Plan versions hold every rule that the engine pays; the outbox says where a message goes and when it was given up.

ALTER TABLE cm.plan_rule
  DROP CONSTRAINT plan_rule_range_type_check,
  ADD CONSTRAINT plan_rule_range_type_check CHECK (range_type IN ('Amount', 'Quantity', 'Percentage of Quota',
    'Margin Percent', 'Markup Percent', 'Discount Percent', 'Company Portion', 'Payee Portion')),
  DROP CONSTRAINT plan_rule_value_type_check,
  ADD CONSTRAINT plan_rule_value_type_check CHECK (value_type IN ('Percentage', 'Fixed Amount', 'Percentage of Target',
    'Multiple of Target Rate'));
COMMENT ON COLUMN commission.plan_rules.range_type IS 'What bands are measured in: Amount, Quantity, Percentage of Quota, or a percentage of each sale; null for Flat.';
COMMENT ON COLUMN commission.plan_rules.value_type IS 'Percentage (in points, 5 is 5 %), Fixed Amount, Percentage of Target or Multiple of Target Rate.';

ALTER TABLE cm.outbox
  ADD COLUMN target text NOT NULL DEFAULT 'backend' CHECK (target IN ('backend', 'webhook')),
  ADD COLUMN given_up_at timestamptz;
DROP INDEX cm.outbox_due;
CREATE INDEX outbox_due ON cm.outbox (client_id, target, created_at)
  WHERE delivered_at IS NULL AND given_up_at IS NULL;

-- The deliverer asks this for the clients that wait; it then works on each of them under row security.
CREATE FUNCTION cm_priv.outbox_waiting() RETURNS SETOF text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN QUERY
  SELECT DISTINCT o.client_id FROM cm.outbox o JOIN cm.client c USING (client_id)
  WHERE o.delivered_at IS NULL AND o.given_up_at IS NULL AND coalesce(o.next_attempt_at, o.created_at) <= now()
    AND c.active
  ORDER BY 1;
END $$;
REVOKE ALL ON FUNCTION cm_priv.outbox_waiting() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION cm_priv.outbox_waiting() TO cm_gate;
RESET ROLE;
ALTER FUNCTION cm_priv.outbox_waiting() OWNER TO cm_ops;
SET LOCAL ROLE cm_owner;
