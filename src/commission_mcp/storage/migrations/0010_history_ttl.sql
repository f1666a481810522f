-- How long a client's conversations are kept, where that is not what the server's setting says.

ALTER TABLE cm.client_profile ADD COLUMN history_ttl_s int CHECK (history_ttl_s BETWEEN 60 AND 2592000);

RESET ROLE;
DROP FUNCTION cm_priv.admit(text, text, text);
SET LOCAL ROLE cm_owner;

CREATE FUNCTION cm_priv.admit(
  client_asked text, issuer_asked text, subject_asked text,
  OUT client_active boolean, OUT user_active boolean, OUT user_id text, OUT roles text[], OUT epoch bigint,
  OUT login_masked text, OUT login_clear text, OUT visible jsonb, OUT time_zone text, OUT versions jsonb, OUT today date,
  OUT history_ttl_s int)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  SELECT c.active, u.active, u.user_id, u.roles, e.epoch, m.role_name, k.role_name, c.time_zone,
    (SELECT coalesce(jsonb_object_agg(r.masking_class, r.columns), '{}')
     FROM (SELECT v.masking_class, jsonb_object_agg(v.column_name, v.visible) AS columns
           FROM cm_priv.mask_visible v WHERE v.client_id = client_asked GROUP BY v.masking_class) r),
    (SELECT coalesce(jsonb_object_agg(d.relation, d.version || '@' || extract(epoch FROM d.changed_at)), '{}')
     FROM cm.data_version d WHERE d.client_id = client_asked),
    (now() AT TIME ZONE 'UTC')::date, p.history_ttl_s
  INTO client_active, user_active, user_id, roles, epoch, login_masked, login_clear, time_zone, visible, versions, today,
    history_ttl_s
  FROM cm.client c
  LEFT JOIN cm.client_profile p ON p.client_id = c.client_id
  LEFT JOIN cm.app_user u
    ON u.client_id = c.client_id AND u.issuer = issuer_asked AND u.subject = subject_asked
  LEFT JOIN cm_priv.permission_epoch e ON e.client_id = c.client_id
  LEFT JOIN cm_priv.login m ON m.client_id = c.client_id AND m.masking_class = 'masked'
  LEFT JOIN cm_priv.login k ON k.client_id = c.client_id AND k.masking_class = 'clear'
  WHERE c.client_id = client_asked;
END $$;

REVOKE ALL ON FUNCTION cm_priv.admit(text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION cm_priv.admit(text, text, text) TO cm_gate;
RESET ROLE;
ALTER FUNCTION cm_priv.admit(text, text, text) OWNER TO cm_ops;
SET LOCAL ROLE cm_owner;
