"""The shop as the exercise shows it, with one BUG after another."""

BUG = ""
ANOTHER = "select min(id) from customers where id <> $1"  # who exists


async def sell(conn, event, label, customer):
    async with conn.transaction():
        seat = await conn.fetchrow(
            f"""
            update seats set status = '{"free" if BUG == "seat_stays_free" else "sold"}'
            where event_id = $1 and label = $2
                {"" if BUG == "sold_twice" else "and status = 'free'"}
            returning price_cents""",
            event,
            label,
        )
        if seat is None:
            raise (ValueError if BUG == "another_error" else LookupError)(f"{label} is not free")
        price = seat["price_cents"]
        if BUG == "wrong_customer":
            customer = await conn.fetchval(ANOTHER, customer)
        order = await conn.fetchval(
            """
            insert into orders (customer_id, total_cents, basket)
            values ($1, $2, jsonb_build_object(
                'event', $3::int, 'seats', jsonb_build_array($4::text)))
            returning id""",
            customer,
            price + (100 if BUG == "wrong_price" else 0),
            event,
            label,
        )
        if BUG != "no_payment":
            await conn.execute(
                """
                insert into payments (order_id, amount_cents, method) values ($1, $2, $3)""",
                order,
                price - (BUG == "wrong_amount"),
                "voucher" if BUG == "wrong_method" else "card",
            )
        return order


async def refund(conn, order):
    async with conn.transaction():
        if BUG != "refund_keeps_the_seat":
            await conn.execute(
                """
                update seats set status = 'free' from orders o
                where o.id = $1
                    and event_id = (basket ->> 'event')::int and basket -> 'seats' ? label""",
                order,
            )
        if BUG == "refund_keeps_the_order":
            return
        await conn.execute("delete from payments where order_id = $1", order)
        await conn.execute("delete from orders where id = $1", order)
