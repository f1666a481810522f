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
