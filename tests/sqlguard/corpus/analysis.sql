-- Statements that an analyst may send, one a line; every one must pass.
select * from deals where amount > 100
select d.amount, (d).stage, d from app.deals d
select app.deals.amount, deals.stage from app.deals
select (array_agg(r order by r.salary desc))[1].name from reps r
select ((array_agg(r order by r.salary desc))[1]).name from reps r
select (jsonb_each(meta)).key from deals
select (jsonb_each(meta)).* from deals
select k.key, k.value from deals, jsonb_each(meta) k
select e.value from deals, jsonb_array_elements(meta->'lines') e
select e->>'sku' from deals, jsonb_array_elements(meta->'lines') as e
select x.a, x.b, x.ordinality from rows from (generate_series(1,2), generate_series(1,3)) with ordinality as x(a,b)
select d.d from generate_series(1,3) d
select generate_series from generate_series(1,3)
select coalesce from (select coalesce(1,2)) s
select s.count, s.max from (select count(*), max(amount) from deals) s
with recursive t(n,p) as (select 1, array[1] union all select n+1, p||n from t where n<5) search depth first by n set o select t.n, t.o from t
with recursive o as (select rep_id, manager_id from app.reps union all select r.rep_id, r.manager_id from app.reps r join o on r.rep_id=o.manager_id) cycle rep_id set is_cycle using path select o.is_cycle, o.path from o
with deals as (select 1 as foo) select deals.foo, foo from deals
with deals as (select foo from (select 1 as foo) x) select d2.amount, deals.foo from deals, app.deals d2
select rq.a, rq.name from (app.reps r join app.quotas q using (rep_id)) as rq(a,b)
select j.rep_id from app.reps r join app.quotas q using (rep_id) as j
select x.y from xmltable('/a' passing '<a><y>1</y></a>' columns y int path 'y') x
select jt.id, jt.q from json_table('[{"id":1}]', '$[*]' columns (id int path '$.id', nested path '$.x' columns (q text path '$'))) jt
select json_value('{"a":1}', '$.a' returning int default 0 on empty), json_query('{}','$.a' with wrapper), json_exists('{}', '$.a')
select json_object('a': 1, 'b': 2 absent on null), json_array(1,2), json_arrayagg(amount order by amount), json_objectagg(stage: amount) from deals
select json_scalar(1), json_serialize('{}'), json('{}'), '{}' is json object
select xmlelement(name a, xmlattributes(1 as b), 'x'), xmlforest(name), xmlagg(xmlelement(name x)), xmlserialize(content '<a/>' as text) from reps group by name
select extract(year from closed_at), closed_at at time zone 'UTC', overlay('abc' placing 'x' from 1), position('a' in 'b'), substring('abc' from 1 for 2), trim(both 'x' from 'xax'), (date '2020-01-01', date '2021-01-01') overlaps (date '2020-01-01', interval '1 day'), normalize('a'), 'a' is normalized from deals
select * from (values (1,2),(3,4)) v order by column1
values (1),(2) order by 1
table deals
select amount from deals union select salary from reps order by amount
select count(*) filter (where x) from (select true as x) q
select row_number() over w from deals window w as (partition by stage order by amount rows between unbounded preceding and 1 following)
select grouping(stage), stage from deals group by grouping sets ((stage),())
select 1 where (1,2) = (select 1,2) and 3 <> all (array[1,2])
select b'101' | b'001', x'1F', interval '1' day, interval(3) '1 second', timestamp(0) '2020-01-01', '{1,2}'::int[], 1::decimal(10,2), 'x'::char(3), 'x'::"char", cast(1 as double precision)
select name collate "C" from reps order by name collate "de-x-icu"
select -1 % 5, 5 % 2, 10 % 3
select now() - interval '1 day', localtimestamp(0), current_timestamp
select case when r is null then null else r.name end from reps r
select (case when true then r end).name from reps r
select r.* , to_jsonb(r.*) from reps r
select (r.*) is not null from reps r
select (s.r).name from (select r from reps r) s
select array(select name from reps), exists(select 1), (select 1) as x
select sum(amount) total from deals group by stage having sum(amount) > 1 order by total
select date_trunc('month', closed_at) as month, sum(amount) from deals group by month order by month
select t.tag from reps, unnest(tags) as t(tag)
select tag from reps cross join unnest(tags) tag
select tag.tag from reps cross join unnest(tags) tag
select u.a,u.b from unnest(array[1,2],array['x','y']) as u(a,b)
select unnest from unnest(array[1])
select * from jsonb_to_record('{"a":1}') as x(a int, b text[])
select * from reps r left join lateral (select sum(amount) s from deals d where d.rep_id=r.rep_id) q on true
select (row(1,2)).f1
select (select r from reps r limit 1).name
select a.x from (select 1) a(x)
select repeat('ab',10), lpad('x',100,'y'), array_fill(0,array[10,10])
select rank(5) within group (order by amount), mode() within group (order by stage) from deals
select to_tsvector('english','a b') @@ plainto_tsquery('b')
select 1 as "update", 2 as "Größe"
select timestamp '2020-01-01' + make_interval(months => 3)
select format('%s %I %L', 'a','b','c'), width_bucket(5,0,10,5), percentile_cont(array[0.5]) within group (order by amount) from deals
select a from (select rep_id a from deals) x where a in (select rep_id from reps where reps.rep_id = x.a)
select * from deals d join reps r on r.rep_id=d.rep_id and r.client_id=d.client_id where exists (select 1 from payouts p where p.rep_id=r.rep_id and p.deal_id=d.deal_id)
select * from deals tablesample_alias
with a as (select 1 x), b as (select a.x+1 y from a) select b.y, a.x from a,b
select "?column?" from (select 1) s
select text, int4 from (select 'a'::text, 1::int) s
select jsonb_path_query_array(meta,'$.lines[*].sku') from deals
select lag(d) over (order by deal_id) is null, (lag(d) over (order by deal_id)).amount from deals d
select current_date as today, extract(epoch from interval '1 day')
select * from generate_series(date '2024-01-01', date '2024-12-01', interval '1 month') with ordinality as m(month, n)
select distinct on (stage) stage, amount from deals order by stage, amount desc fetch first 3 rows with ties
select name from reps where name ~* '^rep' and tags && array['a'] and profile @> '{"level":1}'
select * from deals where (rep_id, client_id) in (select rep_id, client_id from reps)
select q.* from quotas q natural join reps
select stage, amount::money, amount::text || ' USD' from deals offset 1 limit 1
select a.n from (with a as (select 1 n) select n from a) a
select * from only (deals)
select "amount" from "app"."deals"
select rep_id, name, hired_on from app.reps where hired_on >= date '2020-03-01' order by hired_on desc nulls last limit 10 offset 5
select all name from reps
select distinct stage from deals
select r.rep_id as "Rep #", r.name as "Vertriebsmitarbeiter" from reps as r
select count(distinct rep_id) from deals where closed_at::date = '2025-03-01'
select * from deals where closed_at between symmetric '2025-06-01' and '2025-01-01'
select * from deals where closed_at not between '2025-01-01' and '2025-02-01' limit 5
select * from deals where not (stage = 'won') and amount != 100 and amount <> 200
select * from deals where (amount, rep_id) > (500, 10) order by amount, rep_id limit 10
select * from deals where amount = any (select amount from payouts)
select * from deals where amount > all (select amount from payouts where status = 'void')
select * from deals where amount >= some (array[100, 200, 300])
select * from deals where stage = any ('{won,lost}')
select * from deals where stage = any (array['won','lost']::text[])
select * from deals where rep_id in (values (1),(2),(3))
select * from deals where (rep_id, stage) in ((1,'won'),(2,'lost'))
select * from deals where row(rep_id, stage) is distinct from row(1, 'won') limit 3
select * from deals where meta->>'product' in ('P1','P2') and (meta->'lines'->0->>'qty')::int > 3
select * from deals where meta @> '{"product":"P1"}'
select * from deals where meta ?| array['product','x'] and meta ?& array['product','lines']
select * from deals where meta @? '$.lines[*] ? (@.qty > 5)'
select meta - 'lines', meta #- '{lines,0}', meta || '{"a":1}' from deals limit 1
select meta['product'], meta['lines'][0]['sku'] from deals limit 3
select jsonb_path_query_first(meta, '$.lines[*].sku'), jsonb_path_exists(meta, '$.lines[*] ? (@.qty > $min)', '{"min": 2}') from deals
select jsonb_agg(jsonb_build_object('rep', r.name, 'total', t.total) order by t.total desc) from reps r join (select rep_id, sum(amount) total from deals group by rep_id) t using (rep_id)
select jsonb_object_agg(stage, n) from (select stage, count(*) n from deals group by stage) s
select json_build_array(1, 'a', null, true), json_object('{a,1,b,2}'), jsonb_object(array['a','b'], array['1','2'])
select row_to_json(x) from (select rep_id, name from reps limit 3) x
select json_agg(r) from (select rep_id, name from reps) r
select to_json(array_agg(name)) from reps
select jsonb_pretty(to_jsonb(d)) from deals d limit 1
select key, value from deals d cross join jsonb_each_text(d.meta) limit 10
select k from deals, jsonb_object_keys(meta) as k group by k
select jsonb_typeof(meta->'lines'), jsonb_set(meta, '{product}', '"Z"', true), jsonb_insert(meta, '{lines,0}', '1') from deals limit 1
select x.* from jsonb_to_recordset('[{"a":1,"b":"x"},{"a":2,"b":"y"}]') as x(a int, b text)
select * from json_to_record('{"a":1,"b":[1,2]}') as x(a int, b int[])
select l.value->>'sku' sku, sum((l.value->>'qty')::numeric) from deals d, lateral jsonb_array_elements(d.meta->'lines') l group by 1 order by 2 desc
select l.line->>'sku', l.pos from deals d cross join lateral jsonb_array_elements(d.meta->'lines') with ordinality as l(line, pos) where l.pos = 1
select jt.* from deals d, json_table(d.meta, '$.lines[*]' columns (n for ordinality, sku text path '$.sku', qty int path '$.qty' default 0 on empty)) jt
select json_query(meta, '$.lines[*].sku' with array wrapper), json_value(meta, '$.product' returning text), json_exists(meta, '$.lines[0]') from deals limit 2
select meta is json object, '{"a":1}' is json with unique keys from (select meta::text from deals limit 1) s(meta)
select json_arrayagg(name order by name absent on null returning jsonb) from reps
select json_objectagg(name value salary) from reps where rep_id < 3
select json_serialize(meta returning text) from (select '{"a":1}'::json meta) q
select to_char(closed_at, 'YYYY-MM') as ym, sum(amount) from deals group by to_char(closed_at, 'YYYY-MM') order by ym
select to_char(closed_at, 'IYYY-"W"IW'), to_char(amount, 'L999G999D99'), to_char(interval '90 minutes', 'HH24:MI') from deals limit 1
select to_char(current_timestamp at time zone 'Europe/Berlin', 'Day, DD Month YYYY HH24:MI:SS TZ')
select date_trunc('week', closed_at at time zone 'America/New_York')::date wk, count(*) from deals group by wk
select date_trunc('day', closed_at, 'Asia/Kolkata') from deals limit 1
select date_bin('15 minutes', closed_at, timestamp '2025-01-01') from deals limit 1
select age(closed_at), age(now(), closed_at), age(date '2025-05-01', hired_on) from deals join reps using (rep_id) limit 1
select extract(dow from closed_at), extract(isodow from closed_at), extract(quarter from closed_at), extract(epoch from now() - closed_at)/86400, date_part('doy', closed_at) from deals limit 1
select closed_at + '1 year 2 mons 3 days'::interval, closed_at - interval '3' month, closed_at + 3 * interval '1 day', closed_at::date + 7 from deals limit 1
select hired_on + interval '90 days' <= current_date as past_probation from reps
select (date '2025-12-31' - hired_on) / 365.25 as years from reps
select make_timestamp(2025,1,2,3,4,5.5), make_timestamptz(2025,1,2,3,4,5,'UTC'), make_time(1,2,3), to_date('31.12.2025','DD.MM.YYYY'), to_timestamp('2025-01-01 10:00','YYYY-MM-DD HH24:MI'), to_timestamp(1700000000)
select current_date, current_time, current_timestamp, localtime, localtimestamp, now(), statement_timestamp(), clock_timestamp(), timeofday()
select date '2025-01-01' + time '10:00', timestamp '2025-01-01 10:00' at time zone 'UTC', timestamptz '2025-01-01 10:00+02' at time zone 'UTC'
select date 'today' - 1, 'yesterday'::date, 'now'::timestamptz, 'infinity'::date, '-infinity'::timestamp
select (hired_on, hired_on + 30) overlaps (date '2020-06-01', date '2020-12-31') from reps
select isfinite(closed_at), justify_days(interval '35 days'), justify_hours(interval '27 hours') from deals limit 1
select cal.day::date, coalesce(sum(d.amount),0) from generate_series(date '2025-01-01', date '2025-01-31', interval '1 day') cal(day) left join deals d on d.closed_at::date = cal.day::date group by 1 order by 1
select m::date as month_start, (m + interval '1 month' - interval '1 day')::date as month_end from generate_series(timestamp '2025-01-01', timestamp '2025-12-01', '1 month') as m
select n, n*n from generate_series(1,10) as n where n % 2 = 0
select * from generate_series(10, 1, -3)
select * from generate_series(0.0, 1.0, 0.25) x
select generate_subscripts(tags, 1), tags[generate_subscripts(tags,1)] from reps limit 3
select rep_id, amount, sum(amount) over (partition by rep_id order by closed_at rows between unbounded preceding and current row) as running from deals
select rep_id, avg(amount) over (order by closed_at range between interval '30 days' preceding and current row) from deals
select rep_id, sum(amount) over (order by closed_at groups between 1 preceding and 1 following exclude current row) from deals
select rep_id, count(*) over (), sum(amount) over () as grand, round(amount / sum(amount) over (), 4) as share from deals
select rep_id, ntile(4) over (order by sum(amount) desc) as quartile, sum(amount) from deals group by rep_id
select *, row_number() over (partition by rep_id order by amount desc) from deals order by rep_id, row_number
select stage, amount, lag(amount, 2) over w, lead(amount, 1, 0::numeric) over w from deals window w as (partition by stage order by closed_at)
select sum(amount) over w1, avg(amount) over (w1 order by closed_at) from deals window w1 as (partition by rep_id)
select first_value(amount) over (partition by rep_id order by closed_at rows between unbounded preceding and unbounded following) from deals
select sum(amount) filter (where stage='won') over (partition by rep_id) from deals
select * from (select d.*, dense_rank() over (partition by date_trunc('month', closed_at) order by amount desc) rk from deals d) x where rk <= 3
select rep_id, closed_at, sum(case when gap > interval '7 days' then 1 else 0 end) over (partition by rep_id order by closed_at) as session from (select rep_id, closed_at, closed_at - lag(closed_at) over (partition by rep_id order by closed_at) gap from deals) g
select stage, sum(amount) total, grouping(stage) from deals group by rollup (stage) order by grouping(stage), stage
select client_id, stage, date_trunc('month', closed_at) m, sum(amount) from deals group by cube (client_id, stage, m)
select client_id, stage, sum(amount), grouping(client_id, stage) from deals group by grouping sets ((client_id, stage), (client_id), ()) having sum(amount) > 0
select coalesce(stage, 'ALL') from deals group by grouping sets (rollup (stage), cube (stage))
select stage, count(*) from deals group by all stage
select 1 from deals group by ()
select percentile_cont(0.5) within group (order by amount) as median, percentile_disc(array[0.25,0.5,0.75]) within group (order by amount) from deals
select percentile_cont(0.9) within group (order by amount) filter (where stage='won') from deals group by rep_id
select corr(amount, deal_id), covar_pop(amount, deal_id), covar_samp(amount, deal_id), regr_slope(amount, deal_id), regr_count(amount,deal_id), regr_avgx(amount,deal_id) from deals
select stddev(amount), stddev_pop(amount), stddev_samp(amount), variance(amount), var_pop(amount), var_samp(amount) from deals
select bit_and(rep_id), bit_or(rep_id), bit_xor(rep_id), bool_or(amount > 5) from deals
select string_agg(distinct stage, '/' order by stage), array_agg(distinct rep_id) filter (where amount > 5000), string_agg(name, chr(10)) from deals join reps using (rep_id)
select min(closed_at), max(closed_at), max(closed_at) - min(closed_at) as span, count(*), count(meta), count(*) filter (where meta is null) from deals
select any_value(name) from reps group by territory
select cume_dist(500) within group (order by amount), percent_rank(500) within group (order by amount), dense_rank(500) within group (order by amount) from deals
select range_agg(period), range_intersect_agg(period) from plans
select max(array[rep_id, deal_id]) from deals
select sum(distinct amount), avg(distinct amount) from deals
select sum(amount)::float8 / count(*)::float8, sum(amount)::money from deals
with won as (select * from deals where stage = 'won') select rep_id, count(*) from won group by rep_id
with a as materialized (select 1 x), b as not materialized (select 2 y) select * from a, b
with recursive chain(rep_id, manager_id, depth, path) as (select rep_id, manager_id, 0, array[rep_id] from reps where manager_id is null union all select r.rep_id, r.manager_id, c.depth + 1, c.path || r.rep_id from reps r join chain c on r.manager_id = c.rep_id where not r.rep_id = any(c.path)) select * from chain order by path
with recursive t as (select 1 as n union select n + 1 from t where n < 10) select array_agg(n) from t
with recursive m as (select date '2025-01-01' d union all select (d + interval '1 month')::date from m where d < date '2025-12-01') select to_char(d,'Mon') from m
with recursive f(a,b) as (select 0::numeric, 1::numeric union all select b, a+b from f where b < 1000) select a from f
with recursive r as (select rep_id, manager_id from reps where rep_id = 1 union all select x.rep_id, x.manager_id from reps x, r where x.manager_id = r.rep_id) search breadth first by rep_id set ord select * from r order by ord
with recursive r(rep_id) as (select rep_id from reps where manager_id is null union select reps.rep_id from reps join r on reps.manager_id = r.rep_id) cycle rep_id set looped to 'Y' default 'N' using trail select * from r where looped = 'N'
with x(a, b) as (values (1, 'one'), (2, 'two')) select b from x where a = 2
with totals as (select rep_id, sum(amount) s from deals group by 1), ranked as (select *, rank() over (order by s desc) r from totals) select ranked.rep_id, reps.name, s, r from ranked join reps on reps.rep_id = ranked.rep_id where r <= 10
select * from reps r left join deals d on d.rep_id = r.rep_id and d.stage = 'won' where d.deal_id is null
select * from reps r right outer join quotas q using (rep_id) limit 2
select * from reps full join payouts using (rep_id) limit 2
select r.name, m.name as manager from reps r left join reps m on m.rep_id = r.manager_id
select * from reps, deals where reps.rep_id = deals.rep_id limit 2
select * from ((reps r join deals d using (rep_id)) join payouts p using (rep_id)) limit 1
select j.rep_id, d.amount from reps r join deals d using (rep_id) as j limit 1
select rep_id, client_id from reps natural left join quotas limit 3
select * from reps r cross join lateral (select count(*) n, sum(amount) s from deals d where d.rep_id = r.rep_id) agg order by agg.s desc nulls last
select r.name, x.* from reps r left join lateral (select * from deals where deals.rep_id = r.rep_id order by amount desc limit 1) x on true
select r.name, v.label, v.val from reps r cross join lateral (values ('salary', r.salary), ('id', r.rep_id::numeric)) as v(label, val)
select t.tag, count(*) from reps r cross join unnest(r.tags) t(tag) group by t.tag
select * from unnest(array['a','b'], array[1,2]) with ordinality as u(letter, num, pos)
select * from unnest('{1,2,3}'::int[]) id where id > 1
select array(select rep_id from reps order by 1 limit 3), array[[1,2],[3,4]], array[1,2] || 3, 0 || array[1], array[1,2] || array[3], '{}'::int[]
select tags || 'new'::text, array_to_string(tags, ', '), array_append(tags,'z'), array_prepend('z', tags), array_cat(tags, tags), tags[array_upper(tags,1)] from reps limit 1
select array_length(array[1,2], 1), array_ndims(array[[1]]), array_dims(array[1]), array_lower(array[1],1), array_positions(array[1,1],1), array_replace(array[1,2],1,9), trim_array(array[1,2,3],1)
select tags @> array['a'], tags <@ array['a','b1','b2'], tags && array['a'], 'a' = any(tags) from reps
select (array_agg(amount order by amount desc))[1:3] from deals
select array_agg(row(rep_id, amount)::text) from deals
select period @> date '2025-06-01', period && daterange('2025-01-01','2025-02-01','[]'), lower_inc(period), upper_inf(period), period -|- daterange('2026-01-01','2026-02-01') from plans
select int4range(1,10) - int4range(5,10), numrange(1.5,2.5), tstzrange(now(), null), range_merge(int4range(1,2), int4range(5,6)), '[2025-01-01,2025-02-01)'::daterange, int4multirange(int4range(1,2), int4range(5,6))
select unnest('{[1,3),[5,7)}'::int4multirange)
select case when amount > 5000 then 'big' when amount > 1000 then 'mid' else 'small' end as size, count(*) from deals group by 1
select case stage when 'won' then amount else 0 end as won_amount from deals
select sum(case when stage = 'won' then 1 else 0 end)::numeric / nullif(count(*), 0) as win_rate from deals
select coalesce(territory, 'n/a'), nullif(name, ''), greatest(salary, 100, null), least(1, 2, 3) from reps
select amount::int, amount::bigint, amount::float8, amount::text, cast(amount as varchar(20)), cast(amount as decimal(18,4)), amount::double precision, numeric '1.50', int '5', float8 '1e3', bool 'yes' from deals limit 1
select '123'::int, '1.5'::numeric(10,2), 't'::boolean, 'abc'::varchar, 'abc'::char(5), 'a'::"char", '2025-01-01'::date::timestamptz, '{1,2}'::int[], '{"a":1}'::json, '\xDEADBEEF'::bytea, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, '10.1.2.3'::inet, '<a/>'::xml
select 7 / 2, 7 / 2.0, 7 % 3, mod(7,3), div(7,2), 2 ^ 10, |/ 25, ||/ 27, @ -5, 5 & 3, 5 | 3, 5 # 3, ~5, 1 << 4, 16 >> 2, -amount, +amount from deals limit 1
select round(amount, 2), round(amount), trunc(amount, -2), ceil(amount), ceiling(amount), floor(amount), abs(amount), sign(amount), sqrt(amount), power(amount, 2), exp(1), ln(amount), log(amount), log(2, 64), cbrt(27), pi(), degrees(1), radians(180), sin(1), cos(1), tan(1), atan2(1,2), gcd(12,18), lcm(4,6), factorial(5), width_bucket(amount, 0, 10000, 10), scale(amount), random() from deals limit 1
select width_bucket(amount, array[0, 1000, 5000]) b, count(*) from deals group by b order by b
select format('%1$s has %2$s (%3$L) %4$I', name, salary, territory, 'col'), format('|%10s|%-10s|', 'a', 'b'), format('100%%') from reps limit 1
select regexp_replace(name, '\d+', '#', 'g'), regexp_match(name, '(\w+) (\d+)'), (regexp_match(name, '\d+'))[1]::int, regexp_split_to_array(name, '\s+'), regexp_count(name, 'e'), regexp_like(name, '^rep', 'i'), regexp_substr(name, '[0-9]+'), regexp_instr(name, '\d') from reps
select (regexp_matches(name, '(\w)', 'g'))[1] from reps limit 3
select regexp_split_to_table('a,b,c', ',')
select s from string_to_table('a,b,c', ',') s
select * from reps where name ~ '^Rep [0-9]$' or name ~* 'REP' or name !~ 'x' or name !~* 'y'
select * from reps where name not like '%1' and name not ilike 'x%' and name like any (array['Rep 1%','Rep 2%'])
select * from reps where name not similar to '(x|y)%' and email like '%\_%' escape '\'
select string_to_array('a,b,,c', ',', ''), unistr('\0041'), normalize('é', nfc), 'é' is normalized, to_ascii('abc', 'latin1')
select translate('abc','ab','xy'), encode('abc'::bytea,'base64'), decode('YWJj','base64'), sha256('x'), convert_from('\x61'::bytea,'UTF8'), get_byte('\x61'::bytea,0), bit_count(b'1011'), b'1010'::int
select * from deals order by case stage when 'won' then 1 when 'open' then 2 else 3 end, amount desc
select rep_id, sum(amount) from deals group by rep_id having count(*) > 5 and avg(amount) > 100 order by 2 desc, 1
select * from deals order by amount using >
select * from deals fetch next 5 rows only
select * from deals order by amount desc offset 5 rows fetch first 10 rows with ties
select * from deals limit all
select * from deals limit null
select * from deals limit (select 3)
select stage from deals intersect select status from payouts
select stage from deals except all select status from payouts order by 1
(select rep_id from deals limit 2) union all (select rep_id from payouts order by rep_id desc limit 2) order by rep_id
select 'deal' kind, count(*) from deals union all select 'payout', count(*) from payouts
values (1, 'a'), (2, 'b') order by 1 desc limit 1
table app.reps
table plans limit 2
select v.* from (values (1, date '2025-01-01'), (2, null)) v(id, d)
select exists (select 1 from deals where amount > 9000), not exists (select from deals where amount < 0)
select name from reps r where exists (select 1 from deals d where d.rep_id = r.rep_id and d.amount > (select avg(amount) from deals))
select name, (select count(*) from deals d where d.rep_id = r.rep_id) n, array(select deal_id from deals d where d.rep_id = r.rep_id limit 2) ids from reps r
select name from reps where rep_id not in (select manager_id from reps where manager_id is not null)
select (select name from reps where rep_id = 1) || ' & ' || (select name from reps where rep_id = 2)
select amount is null, amount is not null, amount isnull, amount notnull, (amount > 1) is unknown, (amount > 1) is not false from deals limit 1
select (1, 2) = (1, 2), (1, null) is null, row(1, 'a'), row(1,2) < row(1,3)
select r from reps r limit 1
select r.* from reps r limit 1
select (r).* from reps r limit 1
select (r).salary * 2 from reps r limit 1
select count(r), count(r.*) from reps r
select r::text from reps r limit 1
select "name" from "app"."reps" where "rep_id" = 1
select NAME, Rep_ID FROM App.Reps
select name as "naïve ☃ column", 'Zürich' as città from reps limit 1
select U&'\0441\043B\043E\043D', U&"n\0061me" from reps limit 1
select 1e3, .5, 5., 1_000_000, 0xFF, 0b101, 0o17, 1.5e-3
select /* a /* nested */ comment */ 1 -- end
select 1 as "select", 2 as "from", 3 as value, 4 as type, 5 as name
select deal_id id, amount amt, stage status from deals d where d.stage='won' and d.amount>=1000
select name collate "C" as n from reps order by name collate "en-x-icu"
select name from reps order by name collate pg_catalog."default"
select pg_typeof(amount), pg_column_size(meta), pg_size_pretty(123456::bigint), num_nulls(1,null), num_nonnulls(1,null) from deals limit 1
select cast('2025-01-01' as timestamp with time zone) at time zone 'UTC', cast('10:00' as time without time zone), interval '1-2' year to month, interval '10' second, interval '1 02:03:04' day to second
select to_tsvector('english', name) @@ to_tsquery('english', 'rep & 1'), ts_rank(to_tsvector(name), plainto_tsquery('rep')), ts_headline(name, websearch_to_tsquery('rep')) from reps limit 1
select to_tsvector('german', name), phraseto_tsquery('a b'), setweight(to_tsvector('x'), 'A') || to_tsvector('y') from reps limit 1
select xmlelement(name rep, xmlattributes(rep_id as id), name), xmlforest(name, salary) from reps limit 1
select (xpath('/a/b/text()', '<a><b>1</b></a>'::xml))[1]::text::int
select xmlagg(xmlelement(name r, name) order by name)::text from reps
select hashtext(name) % 10 as bucket, count(*) from reps group by 1
select md5(row(rep_id, name)::text) from reps
select point(1,2) <-> point(3,4), circle '<(0,0),1>' @> point '(0.5,0)'
select host('10.0.0.1'::inet), '10.0.0.1'::inet << '10.0.0.0/8'::cidr, masklen('10.0.0.0/8')
select $1::date, $2::int[]
select * from deals where closed_at >= $1 and closed_at < $1::date + interval '1 month' and ($2::text is null or stage = $2)
select * from deals where rep_id = $1 and stage in ($2, $3) limit $4 offset $5
select d.deal_id, d.amount * coalesce(a.split, 1) * t.rate as commission from deals d join assignments a using (rep_id) join plan_tiers t on t.plan_id = a.plan_id and d.amount >= t.lo and (t.hi is null or d.amount < t.hi) where d.stage = 'won'
select p.name, t.tier_no, numrange(t.lo, t.hi, '[)') from plans p join plan_tiers t using (plan_id) order by 1, 2
select r.name, q.target, sum(d.amount) filter (where d.stage = 'won') sold, round(100 * sum(d.amount) filter (where d.stage = 'won') / nullif(q.target, 0), 1) pct from reps r join quotas q using (rep_id) left join deals d on d.rep_id = r.rep_id and date_trunc('quarter', d.closed_at) = q.quarter group by r.rep_id, r.name, q.target, q.quarter
select rep_id, sum(least(greatest(amount - lo, 0), coalesce(hi, 'Infinity') - lo) * rate) from deals cross join plan_tiers where plan_id = 1 group by rep_id
select date_trunc('month', closed_at) m, sum(amount) s, lag(sum(amount)) over (order by date_trunc('month', closed_at)) prev, round(100.0 * (sum(amount) / nullif(lag(sum(amount)) over (order by date_trunc('month', closed_at)), 0) - 1), 2) growth from deals group by 1
select rep_id, sum(amount) filter (where extract(month from closed_at) = 1) jan, sum(amount) filter (where extract(month from closed_at) = 2) feb from deals group by rep_id
select rep_id, period, sum(amount) over (partition by rep_id, date_trunc('year', period) order by period) ytd from payouts
select p.* from payouts p join deals d using (deal_id) where p.amount > d.amount * 0.1
select rules->'tiers'->0->>'rate', (rules #>> '{tiers,0,rate}')::numeric, jsonb_array_length(rules->'tiers') from plans
select p.name, t.tier->>'rate', t.i from plans p, jsonb_array_elements(p.rules->'tiers') with ordinality t(tier, i)
select gen_random_uuid(), uuidv7()
select sum(amount) as total from deals where closed_at >= now() - interval '90 days' and lower(stage) = 'won'
select 5 is distinct from null, null is not distinct from null
select amount % 10 from deals
select count(*) as count, sum as sum from (select 1 sum) s group by sum
select position, value, type from (values (1,2,3)) t(position, value, type)
select overlay('Txxxxas' placing 'hom' from 2 for 4), substring('foobar' similar '%#"o_b#"%' escape '#')
select xmlexists('//a' passing by value '<a/>')
select extract(year from age(hired_on))::int as tenure, count(*) from reps group by 1 order by 1
select jsonb_path_query_array(meta, '$.lines[*] ? (@.qty >= $q).sku', jsonb_build_object('q', 3)) from deals limit 1
select cast(row(1,'x') as text)
select (select array_agg(x) from unnest(tags) x where x like 'b%') from reps
select (d.meta->'lines'->0->>'qty')::int + 1 from deals d limit 1
select round(avg(amount)::numeric, 2), round((random()*100)::numeric, 2) from deals
select date_part('month', age(timestamp '2025-12-31', hired_on::timestamp)) from reps
select sum(amount) from deals where closed_at >= '2025-01-01' and closed_at < '2025-04-01' group by rep_id order by sum(amount) desc limit 1
select "r"."name", "d"."amount" from "reps" "r", "deals" "d" where "r"."rep_id" = "d"."rep_id"
select exists(table deals)
select array_to_json(array_agg(d)) from (select stage, count(*) from deals group by stage) d
select rep_id, max(amount) keep from deals group by rep_id
select * from deals where extract(year from closed_at) = 2025 and extract(month from closed_at) in (1,2,3)
select abs(sum(amount) - avg(amount)) from deals where (closed_at at time zone 'utc')::date > current_date - 365 * 2
select array_sort(array[3,1,2]), array_reverse(array[1,2]), casefold('ABC'), crc32('a')
select amount from deals where amount between 100 and 200 or amount between 500 and 600 and stage like 'w%' or rep_id isnull
select interval '1 day' * 2, interval '1 day' / 2, date '2025-01-31' + interval '1 month', '2025-01-01'::date - '2024-01-01'::date, time '10:00' + interval '1 hour', timestamp '2025-01-02' - timestamp '2025-01-01'
select sum(amount) over (partition by rep_id order by closed_at desc rows 2 preceding) from deals
select sum(amount) over (order by deal_id range between unbounded preceding and 5 following exclude ties) from deals
select last_value(amount) over (partition by stage order by closed_at range between current row and unbounded following) from deals
select rep_id, jsonb_agg(to_jsonb(d) - 'meta' order by deal_id) from deals d group by rep_id
select json_build_object('total', sum(amount), 'by', (select json_object_agg(stage, c) from (select stage, count(*) c from deals group by 1) x)) from deals
select jsonb_build_object('a', array[1,2], 'b', jsonb_build_array(1, 'x', null)), jsonb '{"a": [1,2]}' @> '{"a":[1]}', '[1,2]'::jsonb || '[3]', '{"a":1}'::jsonb -> 'a', jsonb_strip_nulls('{"a":null}')
select * from jsonb_each('{"a":1,"b":2}') as e(k, v) where v > '1'
select json_array_elements('[1,2]'), jsonb_array_elements_text('["a"]'), json_object_keys('{"a":1}')
select x from (select row_to_json(d)::jsonb x from deals d) s where x ->> 'stage' = 'won' limit 1
select to_json(timestamp '2025-01-01'), to_jsonb(array[1,2]), to_jsonb('x'::text)
