"""The functions that a statement may call, by their names in pg_catalog of PostgreSQL 15 to 18.

The guard refuses every other function by name, and the database grants EXECUTE on exactly these, so the two walls
stand on one list. A function belongs here if it computes from its arguments alone: nothing that writes, waits, locks,
changes the session, runs SQL text (`query_to_xml`, `ts_stat`, `ts_rewrite`), or reads catalogs, files, settings, the
network or other sessions. Names that only some versions have are fine.
"""

from __future__ import annotations

from commission_mcp.sqlguard.implied_functions import OPERATOR_FUNCTIONS, TEXT_FUNCTIONS

_FAMILIES: dict[str, str] = {
    "numbers": """
        abs acos acosd acosh asin asind asinh atan atan2 atan2d atand atanh cbrt ceil ceiling cos cosd cosh cot cotd
        degrees div erf erfc exp factorial floor gamma gcd lcm lgamma ln log log10 min_scale mod pi pow power radians
        round scale sign sin sind sinh sqrt tan tand tanh trim_scale trunc width_bucket to_bin to_hex to_oct random
        random_normal
    """,
    "text": """
        ascii bit_length btrim casefold char_length character_length chr concat concat_ws format initcap left length
        like lower lpad ltrim normalize is_normalized notlike octet_length overlay parse_ident position quote_ident
        quote_literal quote_nullable repeat replace reverse right rpad rtrim split_part starts_with string_to_array
        string_to_table strpos substr substring text textlen to_ascii translate unicode_assigned unistr upper
        like_escape similar_escape similar_to_escape
    """,
    "regular expressions": """
        regexp_count regexp_instr regexp_like regexp_match regexp_matches regexp_replace regexp_split_to_array
        regexp_split_to_table regexp_substr
    """,
    "bytes, bits and hashes": """
        bit_count convert convert_from convert_to crc32 crc32c decode encode get_bit get_byte set_bit set_byte md5
        sha224 sha256 sha384 sha512 hashtext hashtextextended
    """,
    "formatting": "to_char to_date to_number to_timestamp",
    "dates and times": """
        age clock_timestamp date_add date_bin date_part date_subtract date_trunc extract isfinite justify_days
        justify_hours justify_interval make_date make_interval make_time make_timestamp make_timestamptz now overlaps
        statement_timestamp timeofday timezone transaction_timestamp
    """,
    "uuid": "gen_random_uuid uuid_extract_timestamp uuid_extract_version uuidv4 uuidv7",
    "aggregates": """
        any_value array_agg avg bit_and bit_or bit_xor bool_and bool_or corr count covar_pop covar_samp every json_agg
        json_agg_strict json_object_agg json_object_agg_strict json_object_agg_unique json_object_agg_unique_strict
        jsonb_agg jsonb_agg_strict jsonb_object_agg jsonb_object_agg_strict jsonb_object_agg_unique
        jsonb_object_agg_unique_strict max min mode percentile_cont percentile_disc range_agg range_intersect_agg
        regr_avgx regr_avgy regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy stddev stddev_pop
        stddev_samp string_agg sum var_pop var_samp variance xmlagg
    """,
    "windows": """
        cume_dist dense_rank first_value lag last_value lead nth_value ntile percent_rank rank row_number
    """,
    "arrays": """
        array_append array_cat array_dims array_fill array_length array_lower array_ndims array_position array_positions
        array_prepend array_remove array_replace array_reverse array_sample array_shuffle array_sort array_to_string
        array_upper cardinality trim_array unnest generate_series generate_subscripts
    """,
    "ranges": """
        datemultirange daterange int4multirange int4range int8multirange int8range isempty lower_inc lower_inf
        multirange nummultirange numrange range_merge tsmultirange tsrange tstzmultirange tstzrange upper_inc
        upper_inf
    """,
    "json": """
        array_to_json json_array_element json_array_element_text json_array_elements json_array_elements_text
        json_array_length json_build_array json_build_object json_each json_each_text json_extract_path
        json_extract_path_text json_object json_object_field json_object_field_text json_object_keys
        json_populate_record json_populate_recordset json_strip_nulls json_to_record json_to_recordset json_typeof
        row_to_json to_json jsonb_array_elements jsonb_array_elements_text jsonb_array_length jsonb_build_array
        jsonb_build_object jsonb_each jsonb_each_text jsonb_extract_path jsonb_extract_path_text jsonb_insert
        jsonb_object jsonb_object_keys jsonb_path_exists jsonb_path_exists_tz jsonb_path_match jsonb_path_match_tz
        jsonb_path_query jsonb_path_query_array jsonb_path_query_array_tz jsonb_path_query_first
        jsonb_path_query_first_tz jsonb_path_query_tz jsonb_populate_record jsonb_populate_record_valid
        jsonb_populate_recordset jsonb_pretty jsonb_set jsonb_set_lax jsonb_strip_nulls jsonb_to_record
        jsonb_to_recordset jsonb_typeof to_jsonb
    """,
    "xml": """
        xml_is_well_formed xml_is_well_formed_content xml_is_well_formed_document xmlcomment xmlexists xmltext xpath
        xpath_exists
    """,
    "full text search": """
        array_to_tsvector get_current_ts_config json_to_tsvector jsonb_to_tsvector numnode phraseto_tsquery
        plainto_tsquery querytree setweight strip to_tsquery to_tsvector ts_delete ts_filter ts_headline ts_lexize
        ts_rank ts_rank_cd tsquery_phrase tsvector_to_array websearch_to_tsquery
    """,
    "networks": """
        abbrev broadcast family host hostmask inet_merge inet_same_family macaddr8_set7bit masklen netmask network
        set_masklen
    """,
    "geometry": """
        area bound_box box center circle diagonal diameter height isclosed ishorizontal isopen isparallel isperp
        isvertical line lseg npoints point radius slope width
    """,
    "enumerations": "enum_first enum_last enum_range",
    "about a value": "num_nonnulls num_nulls pg_collation_for pg_column_size pg_size_bytes pg_size_pretty pg_typeof",
    "casts written as functions": """
        bit bool bpchar bytea char cidr date float4 float8 int2 int4 int8 interval macaddr macaddr8 money name numeric
        time timestamp timestamptz timetz varbit varchar xml
    """,
}

DOCUMENTED_FUNCTIONS: frozenset[str] = frozenset(name for names in _FAMILIES.values() for name in names.split())
"""What people call by name: the names that a refusal may suggest."""

ALLOWED_FUNCTIONS: frozenset[str] = DOCUMENTED_FUNCTIONS | OPERATOR_FUNCTIONS | TEXT_FUNCTIONS
"""Every function that a statement may run, also through an operator or a cast."""

VOLATILE_FUNCTIONS: frozenset[str] = frozenset(
    {
        # a new value on each call
        *("random", "random_normal", "array_sample", "array_shuffle", "gen_random_uuid", "uuidv4", "uuidv7"),
        # the clock
        *("clock_timestamp", "timeofday", "now", "statement_timestamp", "transaction_timestamp"),
    }
)
"""The allowed functions whose answer differs from one run of the same statement to the next."""

RESULT_COLUMNS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("json_each", "json_each_text", "jsonb_each", "jsonb_each_text"), ("key", "value")),
    **dict.fromkeys(("json_array_elements", "json_array_elements_text"), ("value",)),
    **dict.fromkeys(("jsonb_array_elements", "jsonb_array_elements_text"), ("value",)),
}
"""The columns of the functions that name their own."""

PASSES_ARGUMENT: frozenset[str] = frozenset(
    """
    any_value array_agg array_append array_cat array_remove array_reverse first_value lag last_value lead max min mode
    nth_value unnest jsonb_populate_record jsonb_populate_recordset json_populate_record json_populate_recordset
    """.split()  # noqa: SIM905 - reads better as a paragraph
)
"""The functions whose result has the row type (or an array of it) of their first argument."""
