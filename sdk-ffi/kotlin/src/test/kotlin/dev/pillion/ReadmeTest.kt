package dev.pillion

import java.io.File
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertTrue
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.DynamicTest
import org.junit.jupiter.api.DynamicTest.dynamicTest
import org.junit.jupiter.api.TestFactory

/** The snippets of README.md were compiled with the tests; here they print what their comments say. */
class ReadmeTest {
    private val text = File("README.md").readText()
    private val snippets = Regex("```kotlin\n(.*?)```", RegexOption.DOT_MATCHES_ALL)
        .findAll(text).map { it.groupValues[1] }.toList()

    /** `println(x) // 3` prints 3. */
    private fun expected(snippet: String) =
        snippet.lines().filter { "println(" in it && " // " in it }.map { it.substringAfterLast(" // ") }

    private fun prints(number: Int, environment: Map<String, String> = emptyMap()) {
        val ended = run("readme.snippet$number.Snippet${number}Kt", environment = environment)
        assertEquals(0, ended.code, ended.errors)
        assertEquals(expected(snippets[number - 1]), ended.output.lines().filter(String::isNotEmpty))
    }

    @TestFactory
    fun `every snippet prints what it says`(): List<DynamicTest> {
        assertTrue(snippets.size > 3)
        return snippets.indices.map { dynamicTest("snippet ${it + 1}") { prints(it + 1) } }
    }

    @Test
    fun `the first snippet is the same program beside a sidecar`(): Unit = runBlocking {
        Sidecar().use { sidecar ->
            prints(1, mapOf("PILLION_ENDPOINT" to sidecar.url))
            Pillion.connect(sidecar.url).use { assertEquals("""{"items": 3}""", it.state.getText("cart:42")) }
        }
    }

    @Test
    fun `the coordinates are those of this version`() {
        val version = System.getProperty("pillion.version")
        assertTrue("dev.pillion:pillion:$version" in text && "<version>$version</version>" in text)
    }

    @Test
    fun `the example runs in both modes`() {
        fun line(mode: String) = Regex("kotlin: greeting:kotlin = \\{\"from\": \"kotlin\", \"mode\": \"$mode\"} \\(etag .+\\)\n")
        val here = run("example.DemoKt", "embedded")
        assertTrue(line("embedded").matches(here.output), "$here")
        Sidecar().use { sidecar ->
            val there = run("example.DemoKt", sidecar.url)
            assertTrue(line("sidecar").matches(there.output), "$there")
        }
        assertEquals(2, run("example.DemoKt").code)
    }
}
