-- Statements of analysts over the commission views, one a line; every one has to be answered.
select * from sales
select s.sale_id, p.name from sales s join credits c using (client_id, sale_id) join payees p on p.payee_id = c.payee_id and p.client_id = c.client_id order by s.sold_on desc limit 20
select s.sale_id, elem, elem->>'x' from sales s, jsonb_array_elements('[{"x":1}]') elem limit 1
select elem.value->>'x' from jsonb_array_elements('[{"x":1}]') elem
select value->>'x' from jsonb_array_elements('[{"x":1}]')
select day::date, day.day, extract(dow from day) from generate_series(date '2025-01-01', date '2025-01-07', interval '1 day') as day
select d from generate_series(1,3) as t(d)
select m[1], m[2] from sales, regexp_matches(customer, '(\w+) (\d+)') m limit 3
select kv.k, kv.v from jsonb_each('{"a":1}') kv(k, v)
select kv.key, kv.value from jsonb_each('{"a":1}') kv
select items.sku from jsonb_to_recordset('[{"sku":"a","qty":1}]') as items(sku text, qty int)
with monthly as (select date_trunc('month', sold_on) as month, territory_id, sum(net) as revenue from sales group by 1, 2) select month, territory_id, revenue, revenue - lag(revenue) over (partition by territory_id order by month) as delta from monthly order by month
with monthly(m, r) as (select to_char(sold_on,'YYYY-MM'), sum(net) from sales group by 1) select m, r, sum(r) over (order by m) from monthly
with recursive tree as (select territory_id, parent_id, name, 1 lvl, name::text path from territories where parent_id is null union all select t.territory_id, t.parent_id, t.name, tree.lvl + 1, tree.path || ' > ' || t.name from territories t join tree on t.parent_id = tree.territory_id) select repeat('  ', lvl - 1) || name as tree, path from tree order by path
select territory_id as t, count(*) as n from sales group by t having count(*) > 1 order by n desc, t
select sum(net) filter (where territory_id = 'north') as north, sum(net) filter (where territory_id = 'south') as south, date_trunc('quarter', sold_on)::date q from sales group by q order by q
select product_id, territory_id, sum(net) from sales group by grouping sets ((product_id, territory_id), (product_id), ()) order by grouping(product_id), 1 nulls last
select extract(year from sold_on) as year, extract(month from sold_on) as month, sum(net) as net from sales group by year, month order by year, month
select payee_id, sum(net * share) from sales join credits using (client_id, sale_id) group by payee_id
select p.name, coalesce(sum(s.net), 0) from payees p left join credits c on c.payee_id = p.payee_id left join sales s on s.sale_id = c.sale_id and s.sold_on >= date_trunc('year', date '2025-06-01') group by p.payee_id, p.name order by 2 desc
select distinct on (customer) customer, sold_on, net from sales order by customer, sold_on desc
select customer, count(*) over (partition by customer) as purchases, row_number() over (partition by customer order by sold_on) as nth from sales
select * from (select customer, sold_on, net, rank() over (partition by customer order by net desc) as rnk from sales) ranked where rnk = 1
select name from payees where hired_on < current_date - interval '1 year' and left_on is null
select payee_id, hired_on, age(hired_on) as tenure, date_part('year', age(hired_on)) y from payees
select date_trunc('month', sold_on) + interval '1 month' - interval '1 day' as eom, sum(net)::numeric(14,2) from sales group by 1
select to_char(sum(net), 'FM$999,999,990.00') from sales
select round(sum(net)/count(distinct customer), 2) as avg_per_customer from sales
select sum(net) / nullif(sum(quantity), 0) asp, product_id from sales group by product_id
select (sum(net) - sum(cost)) / nullif(sum(net), 0) * 100 as margin_pct from sales
select percentile_cont(0.5) within group (order by net) from sales group by territory_id
select percentile_cont(array[0.25, 0.5, 0.75]) within group (order by net) as quartiles from sales
select corr(net, quantity), regr_slope(net, quantity), regr_intercept(net, quantity), regr_r2(net, quantity) from sales
select width_bucket(net, 0, 1000, 10) as bucket, count(*), min(net), max(net) from sales group by bucket order by bucket
select mode() within group (order by product_id) from sales
select string_agg(distinct product_id, ', ' order by product_id) from sales
select array_agg(sale_id order by net desc) filter (where net > 500) from sales
select (array_agg(sale_id order by net desc))[1] as top_sale from sales group by territory_id
select json_agg(json_build_object('id', sale_id, 'net', net) order by net desc) from (select * from sales order by net desc limit 5) top5
select jsonb_object_agg(territory_id, total) from (select territory_id, sum(net) total from sales group by 1) t
select row_to_json(t) from (select territory_id, sum(net) from sales group by 1) t
select to_jsonb(s) - 'client_id' - 'cost' from sales s limit 1
select definition->'rules'->0->>'plan_type' from plan_versions
select definition #>> '{rules,0,tiers}', definition ? 'rules', definition @> '{}' from plan_versions
select r.value->>'rule_no' from plan_versions v cross join lateral jsonb_array_elements(coalesce(v.definition->'rules', '[]'::jsonb)) r
select jsonb_path_query(definition, '$.rules[*].tiers[*] ? (@.commission > 5)') from plan_versions
select explanation->>'why', jsonb_pretty(explanation) from commission_results limit 5
select 1 where 'analyst' = any((select roles from users limit 1)::text[])
select user_id, unnest(roles) role from users
select u.user_id, r.role, r.ord from users u left join lateral unnest(u.roles) with ordinality r(role, ord) on true
select user_id from users where roles && array['finance','admin']::text[]
select user_id from users where 'finance' = any (roles) and active
select * from periods where date '2025-05-15' >= starts_on and date '2025-05-15' < ends_on
select * from periods where daterange(starts_on, ends_on) @> date '2025-05-15'
select p.period_id, sum(s.net) from periods p left join sales s on s.sold_on <@ daterange(p.starts_on, p.ends_on) group by p.period_id order by p.period_id
select d::date as day, coalesce(t.net, 0) net from generate_series('2025-01-01'::date, '2025-01-31'::date, '1 day') d left join (select sold_on, sum(net) net from sales group by sold_on) t on t.sold_on = d::date
select territory_id, product_id, sum(net), sum(sum(net)) over (partition by territory_id) as terr_total, round(100 * sum(net) / sum(sum(net)) over (partition by territory_id), 1) pct from sales group by territory_id, product_id
select s.*, t.name as territory, pr.name as product from sales s left join territories t using (territory_id) left join products pr using (product_id) limit 3
select s.sale_id, s.net, avg(s.net) over w as moving_avg, stddev_samp(s.net) over w from sales s window w as (order by s.sold_on, s.sale_id rows between 6 preceding and current row)
select sale_id from sales where net > (select percentile_cont(0.95) within group (order by net) from sales)
select sale_id from sales s where not exists (select 1 from credits c where c.sale_id = s.sale_id)
select payee_id from payees except select payee_id from credits
select client_id, name from clients
select count(*) from sales where sold_on between '2025-01-01' and '2025-03-31' and (territory_id, product_id) in (('north','pa'),('south','pb'))
select case when net >= 800 then 'A' when net >= 400 then 'B' else 'C' end as class, count(*), sum(net) from sales group by 1 order by 1
select sum(case when sold_on >= date_trunc('month', current_date) then net end) mtd, sum(case when sold_on >= date_trunc('year', current_date) then net end) ytd from sales
with cur as (select sum(net) v from sales where sold_on >= '2025-07-01'), prev as (select sum(net) v from sales where sold_on < '2025-07-01') select cur.v, prev.v, (cur.v - prev.v) / nullif(prev.v, 0) as growth from cur cross join prev
with x as (select * from sales), y as (select * from x where net > 100), z as (select * from y) select count(*) from z
select a.customer, b.customer from sales a join sales b on a.customer = b.customer and a.sale_id < b.sale_id limit 5
select payees.name, sum(sales.net * credits.share) from sales inner join credits on credits.sale_id = sales.sale_id inner join payees on payees.payee_id = credits.payee_id where sales.currency = 'USD' group by payees.name order by sum(sales.net * credits.share) desc limit 10
select commission.sales.sale_id from commission.sales where commission.sales.net > 500
select sale_id, net, net > avg(net) over () as above_avg from sales order by net desc
select payee_id, first_value(sale_id) over (partition by payee_id order by net desc) from sales join credits using (sale_id)
select q.payee_id, q.amount as quota, a.achieved, a.attainment_percent from quotas q left join attainment a on a.payee_id = q.payee_id and a.starts_on = q.starts_on
select month, sum(amount) from payout_by_month group by month order by month
select plan_name, sum(commission) from plan_performance group by plan_name
select plan_id, version, jsonb_array_length(definition->'rules') from plan_versions where status in ('active','approved') and current_date <@ daterange(valid_from, valid_to)
select cp.plan_name, pr.plan_type, pt.from_value, pt.to_value, pt.commission from commission_plans cp join plan_rules pr using (client_id, plan_id, version) join plan_tiers pt using (client_id, plan_id, version, rule_no) order by 1, 3
with recursive mgr as (select payee_id, manager_id from reporting_lines where payee_id = 'x' union select r.payee_id, r.manager_id from reporting_lines r join mgr on r.payee_id = mgr.manager_id) select * from mgr
select relation, version, changed_at at time zone 'UTC' from data_versions order by changed_at desc nulls last
select coalesce(nullif(trim(customer), ''), '(none)') as customer from sales
select split_part(customer, ' ', 2)::int as n from sales group by 1 order by 1
select customer, regexp_replace(customer, '[^0-9]', '', 'g')::int % 7 as k from sales limit 3
select lower(customer) like '%customer 1%' and customer ilike 'CUSTOMER%' from sales limit 1
select left(customer, 10) || '…' as short from sales limit 1
select md5(sale_id), substr(md5(sale_id::text), 1, 8) from sales limit 1
select sold_on, to_char(sold_on, 'Dy DD Mon YYYY'), to_char(sold_on, 'Q'), to_char(sold_on, '"Q"Q YYYY'), date_part('week', sold_on), extract(isoyear from sold_on) from sales limit 1
select date_trunc('week', sold_on::timestamp)::date as week, count(*) from sales group by week order by week
select sold_on - lag(sold_on) over (partition by customer order by sold_on) as days_between from sales
select customer, max(sold_on) as last_purchase, current_date - max(sold_on) as days_since from sales group by customer having current_date - max(sold_on) > 90
select justify_interval(age('2025-12-31', sold_on)) from sales limit 1
select make_date(extract(year from sold_on)::int, extract(month from sold_on)::int, 1) from sales limit 1
select sum(net)::text || ' ' || min(currency) from sales
select cast(net as integer), net::int, net::float, net::real, cast(sold_on as text), sold_on::timestamp, sold_on::timestamptz from sales limit 1
select exists (select from sales where net > 900) as has_big
select ntile(10) over (order by net desc) as decile, sale_id from sales
with d as (select ntile(10) over (order by net desc) as decile, net from sales) select decile, sum(net), round(sum(net) * 100 / sum(sum(net)) over (), 2), sum(sum(net)) over (order by decile) from d group by decile order by decile
select customer, sum(net) total, sum(sum(net)) over (order by sum(net) desc) / sum(sum(net)) over () as cumulative_share from sales group by customer order by total desc
with first_purchase as (select customer, min(date_trunc('month', sold_on)) cohort from sales group by 1) select cohort::date, extract(year from age(date_trunc('month', s.sold_on), cohort)) * 12 + extract(month from age(date_trunc('month', s.sold_on), cohort)) as month_no, count(distinct s.customer) from sales s join first_purchase using (customer) group by 1, 2 order by 1, 2
select product_id, round(avg(net), 2) as "Ø Umsatz", count(*) as "Anzahl Verkäufe" from sales group by product_id
select sale_id as "Sale ID", net as "Net ($)" from sales order by "Net ($)" desc limit 3
select 'Total' as label, sum(net) from sales union all select territory_id, sum(net) from sales group by territory_id order by 2 desc
(select 'top' k, sale_id, net from sales order by net desc limit 3) union all (select 'bottom', sale_id, net from sales order by net limit 3)
select * from (values ('north', 0.05), ('south', 0.07)) as rates(territory_id, rate) join sales using (territory_id) limit 3
select s.sale_id, r.rate, s.net * r.rate from sales s join (values (0, 300, 0.05), (300, 600, 0.07), (600, null, 0.1)) r(lo, hi, rate) on s.net >= r.lo and (r.hi is null or s.net < r.hi)
select greatest(0, least(net, 500) - 100) * 0.05 as tier1 from sales
select sum(greatest(least(net, coalesce(to_value, 1e12)) - from_value, 0) * commission / 100) from sales cross join plan_tiers
select t.territory_id, x.sale_id, x.net from territories t cross join lateral (select sale_id, net from sales s where s.territory_id = t.territory_id order by net desc limit 2) x
select t.name, (select sum(net) from sales s where s.territory_id = t.territory_id) as total from territories t order by total desc nulls last
select sale_id, net from sales where net = (select max(net) from sales)
select sale_id, net from sales order by net desc fetch first row only
select sale_id, net from sales order by net desc fetch first 3 rows with ties
select sale_id from sales order by random() limit 5
select sold_on, count(*) from sales group by sold_on having count(*) >= all (select count(*) from sales group by sold_on)
select coalesce(territory_id, 'Grand total') as territory, sum(net) from sales group by rollup(territory_id)
select territory_id, product_id, case grouping(territory_id, product_id) when 0 then 'detail' when 1 then 'territory' else 'all' end as level, sum(net) from sales group by rollup(territory_id, product_id)
select sales.customer, sales from sales limit 1
select count(sales) from sales
select (s).net from sales s limit 1
select s.net from sales as s(cid, sid) limit 1
select sid from sales as s(cid, sid) limit 1
select p.* , c.* from payees p, credits c where p.payee_id = c.payee_id limit 1
select name, email from payees order by lower(name) collate "C"
select n.n from (select count(*) n from sales) n
select sum from (select sum(net) from sales) x
select "sum" from (select sum(net) from sales) x
select x.count, x.territory_id from (select territory_id, count(*) from sales group by 1) x where x.count > 100
select y."case" from (select case when true then 1 end) y
select coalesce from (select coalesce(null, 1)) z
select date_trunc from (select date_trunc('month', now())) z
select extract from (select extract(year from now())) z
select int4, text, "numeric" from (select 1::int, 'a'::text, 1.0::numeric) q
select "array" from (select array[1,2]) q
select row from (select row(1,2)) q
select greatest, least from (select greatest(1,2), least(1,2)) q
select nullif from (select nullif(1,2)) q
select exists from (select exists(select 1)) q
select "exists", "max" from (select exists(select 1), max(1)) q
select current_date from (select current_date) q
select substring, position, overlay, btrim from (select substring('abc' from 1), position('a' in 'b'), overlay('a' placing 'b' from 1), trim('a')) q
select timezone from (select now() at time zone 'UTC') q
select json_build_object from (select json_build_object('a',1)) q
select f1 from (select (row(1,2)).f1) q
select bool from (select 't'::bool) q
select "?column?" from (select 1+1) q
select interval from (select interval '1 day') q
select "interval" from (select interval '1 day') q
select sales.net from sales union select credits.share from credits order by net
select a.x + b.y from (select 1 as x) a, (select 2 as y) b
select * from sales s natural join credits limit 1
select credits.share, s.net from sales s natural join credits limit 1
select sale_id, s.sale_id, c.sale_id from sales s join credits c using (sale_id) limit 1
select j.sale_id, net from sales join credits using (sale_id) as j limit 1
select x.sale_id from (sales s join credits c using (client_id, sale_id)) x limit 1
select * from sales s left join lateral (select p.name from credits c join payees p using (payee_id) where c.sale_id = s.sale_id) pp on true limit 1
select * from generate_series(1,2) a, generate_series(1, a) b
select * from generate_series(1,2) a, lateral generate_series(a, a+2) b, lateral (select a*b as c) c
select g.i, s.sale_id from generate_series(1,3) g(i) join lateral (select sale_id from sales order by sale_id limit 1 offset g.i) s on true
with s as (select 1 as net) select net from s
with sales as (select 5 as net) select net from sales
with sales as (select * from sales where net > 100) select count(*) from sales
with a as (select 1 as x), a2 as (with b as (select x from a) select x from b) select x from a2
select (with q as (select max(net) m from sales) select m from q)
select * from sales where sale_id in (with top as (select sale_id from sales order by net desc limit 3) select sale_id from top)
with recursive cal(d) as (select date '2025-01-01' union all select d + 1 from cal where d < date '2025-01-10'), tot as (select sold_on, sum(net) n from sales group by 1) select cal.d, coalesce(tot.n, 0) from cal left join tot on tot.sold_on = cal.d
with recursive a as (select 1 as n union all select n + 1 from b where n < 3), b as (select 1 as n) select * from a
select bool_and(net > 0) and not bool_or(currency is null) from sales
select sum(net) over (order by sold_on range between interval '7 days' preceding and current row) from sales
select sold_on, net, net - first_value(net) over w, nth_value(net, 2) over w, last_value(net) over w from sales window w as (order by sold_on rows between unbounded preceding and unbounded following) limit 2
select lag(net) over () from sales limit 1
select count(*) from sales where sold_on >= '2025-01-01'::date and sold_on < ('2025-01-01'::date + interval '3 months')
select count(*) from sales where sold_on >= cast('2025-01-01' as date)
select count(*) from sales where extract(quarter from sold_on) = 2 and extract(year from sold_on) = 2025
select count(*) from sales where to_char(sold_on, 'YYYY-MM') = '2025-03'
select count(*) from sales where date(sold_on) = '2025-03-01'
select date(created_at) from clients
select concat(customer, ' ', net) from sales limit 1
select net from SALES
select net n from sales order by n
select sale_id || net from sales limit 1
select net from sales;
